"""`python -m benchmarks.routes`: a route with one answer beside the same texts as requests."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Final

import numpy as np
import orjson
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.end_to_end import answers_of
from benchmarks.harness import Stage, set_up
from benchmarks.measure import BenchmarkFailed, Round, in_turns, median_cpu_s_per_1000
from benchmarks.processes import main_thread_cpu_seconds
from benchmarks.report import RESULTS, machine, write_json
from benchmarks.terminal import progress, run
from benchmarks.texts import read_texts, requested
from benchmarks.traffic import INTERACTIVE_TOPIC, RESPONSES_TOPIC, Body, request
from streamproc.clock import SystemClock
from streamproc.enrichment.catalogue import RouteTopic
from streamproc.settings import read_settings

SOURCE: Final = "bench.events.v1"
OUT: Final = "bench.events.enriched.v1"
LABELS: Final = ("negative", "positive")
SHORT_CHARACTERS: Final = 128
WARM_UP: Final = 200
ROUTE: Final = f"""\
kind: route
name: bench
description: What a route costs beside plain requests.
from: {{topics: [{SOURCE}]}}
when: [{{at: /lang, in: [en, en-GB]}}]
answers:
  - {{name: mood, task: text-classification, ensemble: sentiment, text: /text, to: /nlp/mood}}
to: {{topic: {OUT}}}
meta: /nlp/run
dlq: bench.events.dlq.v1
"""


def event(name: str, text: str) -> bytes:
    """An event of a shop around a text: about 300 bytes that are none of streamproc's business."""
    around = {
        "id": name,
        "type": "review.created",
        "lang": "en",
        "customer": {"number": 12345678901234567, "name": "A. Nobody", "tags": ["new", "eu"]},
        "items": [{"sku": "A-1", "price": 1.1, "count": 2}, {"sku": "B-2", "price": 20.0}],
        "text": text,
        "received_at": "2026-11-29T07:00:00.000Z",
        "internal": {"shard": 7, "trace": "4bf92f3577b34da6a3ce929d0e0e4736", "retried": False},
    }
    return orjson.dumps(around)


@dataclass(frozen=True, slots=True)
class _Way:
    """The same texts asked about in one way, through Kafka, from the first sent to the last back.

    result: of what came back
    """

    name: str
    stage: Stage
    topic: str
    body: Body
    result: Callable[[dict[str, Any]], Mapping[str, Any]]
    texts: Sequence[str]

    async def round(self) -> Round:
        worker, traffic = self.stage.worker, self.stage.traffic
        exchange = traffic.exchange()
        before = worker.cpu_seconds(), main_thread_cpu_seconds(worker.pid)
        await asyncio.gather(
            traffic.send_all(exchange, self.topic, self.texts, self.body),
            exchange.complete(len(self.texts)),
        )
        after = worker.cpu_seconds(), main_thread_cpu_seconds(worker.pid)
        if exchange.refused():
            raise BenchmarkFailed(f"not every request was answered: {exchange.refused()[0]}")
        results = [self.result(exchange.responses[number]) for number in range(len(self.texts))]
        whole_s, loop_s = (_less(one, other) for one, other in zip(after, before, strict=True))
        return Round(
            seconds=max(exchange.answered_s.values()) - min(exchange.sent_s.values()),
            cpu_seconds=whole_s,
            answers=answers_of(results, LABELS),
            beside_cpu_seconds={} if loop_s is None else {"event loop": loop_s},
        )


def main(
    requests: Annotated[int, typer.Option(min=1, help="texts in a round")] = 1000,
    rounds: Annotated[int, typer.Option(min=1, help="rounds of each way")] = 7,
    threads: Annotated[int, typer.Option(min=1, help="threads that run models")] = 2,
    json: Annotated[Path, typer.Option(help="where figures go")] = RESULTS / "routes-cpu.json",
) -> None:
    """Measure what a route costs beside plain requests, on texts of mixed lengths and on short."""
    console = Console()
    run(_measure(requests, rounds, threads, json, console))


async def _measure(requests: int, rounds: int, threads: int, json: Path, console: Console) -> None:
    say = progress(console)

    texts = read_texts(read_settings().data)
    kinds = {
        "mixed lengths": requested(texts, requests),
        "short": requested([text for text in texts if len(text) <= SHORT_CHARACTERS], requests),
    }
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="streamproc-bench-") as folder:
        (Path(folder) / "bench.yaml").write_text(ROUTE, "utf-8")
        worker = {"device": "cpu", "threads": str(threads), "group_id": "benchmarks-routes"}
        source = RouteTopic(SOURCE, 12, 3_600_000)
        async with set_up(
            worker | {"routes_dir": folder},
            say,
            sources=[source],
            answers=[RESPONSES_TOPIC, OUT],
        ) as stage:
            for kind, chosen in kinds.items():
                plain, routed = _ways(stage, chosen)
                say(f"{kind}: warming up")
                for way in _ways(stage, chosen[:WARM_UP]):
                    await way.round()
                done = await in_turns([plain, routed], rounds, say)
                found[kind] = _figures(done[plain.name], done[routed.name], chosen)
    _print(console, found)
    write_json(
        json,
        {"machine": machine(SystemClock()), "requests": requests, "rounds": rounds, "by": found},
    )
    console.print(f"figures: {json}", highlight=False)


def _ways(stage: Stage, texts: Sequence[str]) -> tuple[_Way, _Way]:
    plain = _Way(
        "plain requests", stage, INTERACTIVE_TOPIC, request, lambda made: made["result"], texts
    )
    routed = _Way("a route", stage, SOURCE, event, lambda made: made["nlp"]["mood"], texts)
    return plain, routed


def _figures(plain: Sequence[Round], routed: Sequence[Round], texts: Sequence[str]) -> Any:
    shares = [
        one.cpu_seconds / other.cpu_seconds
        for one, other in zip(plain, routed, strict=True)
        if one.cpu_seconds and other.cpu_seconds
    ]
    if not np.array_equal(plain[-1].answers, routed[-1].answers):
        raise BenchmarkFailed("a route and plain requests were answered differently")
    return {
        "characters": sum(map(len, texts)) / len(texts),
        "share_by_cpu": median(shares),
        "shares": shares,
        **{
            name: {
                "requests_per_s": median(each.requests_per_s for each in rounds),
                "cpu_s_per_1000": median_cpu_s_per_1000(rounds),
                "loop_cpu_s_per_1000": median(
                    1000 * each.beside_cpu_seconds["event loop"] / len(texts) for each in rounds
                ),
            }
            for name, rounds in (("plain requests", plain), ("a route", routed))
        },
    }


def _print(console: Console, found: Mapping[str, Any]) -> None:
    table = Table(title="Medians over rounds", box=SIMPLE_HEAD)
    table.add_column("", no_wrap=True)
    for heading in ("req/s", "CPU s/1k", "loop s/1k", "by CPU"):
        table.add_column(heading, justify="right", no_wrap=True)
    for kind, figures in found.items():
        for way in ("plain requests", "a route"):
            of = figures[way]
            table.add_row(
                f"{kind}: {way}",
                f"{of['requests_per_s']:,.0f}",
                f"{of['cpu_s_per_1000']:.2f}",
                f"{of['loop_cpu_s_per_1000']:.2f}",
                f"{figures['share_by_cpu']:.2f}" if way == "a route" else "1.00",
            )
    console.print(table)


def _less(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before


if __name__ == "__main__":
    typer.run(main)
