"""The picture of a trace in docs/observability.md, made of the spans of a worker on a real Kafka.

`python -m tests.support.trace_picture` makes it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from opentelemetry.sdk.trace import ReadableSpan

from streamproc.kafka.embedded import EmbeddedBroker
from streamproc.settings import Settings, read_settings
from tests.support.command import ROOT
from tests.support.recorded_spans import RecordedSpans, context_of
from tests.support.traced_worker import TASK, ask_and_read, topics_folder, traced_worker

FILE: Final = ROOT / "docs" / "trace.svg"
TEXTS: Final = [f"Order {number} came in two days, and all of it works." for number in range(12)]
_WIDTH, _NAMES, _ROW, _TOP = 1000, 330, 26, 64
_COLOURS: Final = {
    "upstream": "#8a63b8", "process": "#3b6ea8", "queue": "#b0bcc9", "inference": "#6fa3d6",
    "batch": "#c98a1b", "member": "#5a9e68", "send": "#3b6ea8",
}  # fmt: skip
_FONT: Final = 'font-family="-apple-system, \'Segoe UI\', Roboto, sans-serif" font-size="13"'
_SMALL: Final = 'font-size="11" fill="#4b5563"'
_TITLE: Final = "One trace: producer, Kafka, worker, Kafka, reader"
_DESCRIPTION: Final = (
    "Spans of one request, from its producer through the queue, a batch and its members to the "
    "response and its reader, as bars over time."
)
_NOTE: Final = "Made of the spans of a worker on a Kafka of one node; purple are other programs."


def picture(recorded: RecordedSpans) -> str:
    """The trace that has the largest batch, as a tree of bars over time, and links out of it."""
    batch = max(recorded.named("batch"), key=lambda span: len(span.links))
    trace = context_of(batch).trace_id
    rows = list(_rows(recorded, trace))
    first_ns = min(span.start_time or 0 for _, span in rows)
    last_ns = max(span.end_time or 0 for _, span in rows)
    scale = (_WIDTH - _NAMES - 90) / (last_ns - first_ns)
    height = _TOP + len(rows) * _ROW + 44
    links = len(batch.links)
    size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    took_ms = (last_ns - first_ns) / 1e6
    said = f"{took_ms:.1f} ms in all; the batch has chunks of {links} requests, and links to each"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="t d" {_FONT}>',
        '<title id="t">A trace</title>',
        f'<desc id="d">{_DESCRIPTION}</desc>',
        f'<rect width="{_WIDTH}" height="{height}" rx="10" fill="#ffffff"/>',
        f'<text x="20" y="28" font-size="15" font-weight="600" fill="#1f2937">{_TITLE}</text>',
        f'<text x="20" y="48" fill="#4b5563">{said}</text>',
    ]
    for number, (depth, span) in enumerate(rows):
        y = _TOP + number * _ROW
        parts += _bar(span, depth, y, _NAMES + ((span.start_time or 0) - first_ns) * scale, scale)
    parts.append(f'<text x="20" y="{height - 14}" fill="#4b5563">{_NOTE}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _rows(recorded: RecordedSpans, trace: int) -> Iterator[tuple[int, ReadableSpan]]:
    def below(parent: ReadableSpan, depth: int) -> Iterator[tuple[int, ReadableSpan]]:
        yield depth, parent
        for child in recorded.children(parent):
            yield from below(child, depth + 1)

    for span in recorded.named(""):
        if span.parent is None and context_of(span).trace_id == trace:
            yield from below(span, 0)


def _bar(span: ReadableSpan, depth: int, y: float, x: float, scale: float) -> Sequence[str]:
    took_ns = (span.end_time or 0) - (span.start_time or 0)
    scope = span.instrumentation_scope
    is_other = scope is not None and scope.name == "another program"
    colour = _COLOURS["upstream" if is_other else span.name.split()[0]]
    width = max(took_ns * scale, 2)
    stripe = "#f3f5f8" if (y - _TOP) // _ROW % 2 == 0 else "#ffffff"
    return (
        f'<rect x="10" y="{y}" width="{_WIDTH - 20}" height="{_ROW}" fill="{stripe}"/>',
        f'<text x="{20 + depth * 16}" y="{y + 17}" fill="#1f2937">{escape(span.name)}</text>',
        f'<rect x="{x:.1f}" y="{y + 6}" width="{width:.1f}" height="14" rx="2" fill="{colour}"/>',
        f'<text x="{x + width + 5:.1f}" y="{y + 17}" {_SMALL}>{took_ns / 1e6:.1f} ms</text>',
    )


async def _recorded(kafka: str, folder: Path) -> RecordedSpans:
    topics = topics_folder(folder, f"nlp.{TASK}")
    settings = Settings(
        kafka_bootstrap_servers=kafka, topics_dir=topics, web_port=0, device="cpu", threads=1
    )
    recorded = RecordedSpans()
    async with traced_worker(settings, recorded):
        # The first requests of a process take longer than any after them.
        await ask_and_read(settings, recorded, TEXTS)
        recorded.clear()
        await ask_and_read(settings, recorded, TEXTS)
    return recorded


def main() -> None:
    """Write the picture."""
    with EmbeddedBroker(cache_dir=read_settings().cache_dir) as broker, TemporaryDirectory() as at:
        recorded = asyncio.run(_recorded(broker.bootstrap_servers, Path(at)))
        FILE.write_text(picture(recorded), "utf-8")


if __name__ == "__main__":
    main()
