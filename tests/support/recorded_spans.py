"""Spans that an OpenTelemetry SDK keeps in memory, and how they hang together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Sampler
from opentelemetry.trace import SpanContext

from streamproc.tracing.spans import OpenTelemetryTracer

UPSTREAM = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
"""The header of a producer whose span is recorded."""


class _Begun(SpanProcessor):
    def __init__(self) -> None:
        self.spans: list[Span] = []

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self.spans.append(span)


@dataclass
class RecordedSpans:
    """A tracer for a worker or a part of one, and the spans that ended.

    sampler: None: every trace is recorded
    """

    sampler: Sampler | None = None
    _exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    _begun: _Begun = field(default_factory=_Begun)

    def __post_init__(self) -> None:
        self._provider = TracerProvider(sampler=self.sampler, shutdown_on_exit=False)
        self._provider.add_span_processor(self._begun)
        self._provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = OpenTelemetryTracer(self._provider.get_tracer("test"), "group")
        self.of_others = self._provider.get_tracer("another program")

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        """All that have ended, in the order of their ends."""
        return self._exporter.get_finished_spans()

    def clear(self) -> None:
        """Forget those that have ended."""
        self._exporter.clear()

    @property
    def open(self) -> list[str]:
        """The names of those that have begun and not ended."""
        return [span.name for span in self._begun.spans if span.is_recording()]

    def named(self, start: str) -> list[ReadableSpan]:
        """Those whose name starts so, in the order of their beginning."""
        found = [span for span in self.spans if span.name.startswith(start)]
        return sorted(found, key=lambda span: span.start_time or 0)

    def one(self, start: str) -> ReadableSpan:
        """The only one whose name starts so."""
        (span,) = self.named(start)
        return span

    def children(self, parent: ReadableSpan) -> list[ReadableSpan]:
        """In the order of their beginning."""
        return [
            span
            for span in self.named("")
            if span.parent is not None and span.parent.span_id == context_of(parent).span_id
        ]


def context_of(span: ReadableSpan) -> SpanContext:
    """What other spans know a span by."""
    context = span.get_span_context()
    assert context is not None
    return context


def header_of(span: ReadableSpan) -> bytes:
    """`traceparent` of a record that a span sent."""
    context = context_of(span)
    flags = f"{context.trace_flags:02x}"
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{flags}".encode()
