"""How long one request takes: alone, and while the peer works off a backlog."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.latencies import Latencies
from benchmarks.measure import Contender
from benchmarks.traffic import Traffic

_PAUSE_S: Final = 0.2

Ask = Callable[[str], Awaitable[object]]
"""One request, until its answer has come back."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Latencies of single requests; behind: while a backlog is worked off."""

    idle: Latencies
    behind: Latencies

    def as_json(self) -> dict[str, Any]:
        return {"idle": self.idle.as_json(), "behind_backlog": self.behind.as_json()}


def through_kafka(traffic: Traffic, topic: str) -> Ask:
    """Requests to a topic."""

    async def ask(text: str) -> None:
        exchange = traffic.exchange()
        await traffic.send(exchange, topic, 0, text)
        await exchange.complete(1)

    return ask


async def waiting(ask: Ask, backlog: Contender, texts: Sequence[str], alone: int) -> Waiting:
    """Ask `alone` times of an idle peer, then five times a second until it has done the backlog."""
    idle = Latencies.of([await _milliseconds(ask, text) for text in texts[:alone]])
    working = asyncio.create_task(backlog.round())
    asked: list[asyncio.Task[float]] = []
    while not asked or not working.done():
        text = texts[len(asked) % len(texts)]
        asked.append(asyncio.create_task(_milliseconds(ask, text)))
        await asyncio.sleep(_PAUSE_S)
    behind = Latencies.of(await asyncio.gather(*asked))
    await working
    return Waiting(idle, behind)


def print_waiting(console: Console, found: Mapping[str, Waiting], backlog: int) -> None:
    """A row for each peer."""
    table = Table(
        title=f"One short request, milliseconds: alone, and behind {backlog:,} others",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("", no_wrap=True)
    for heading in ("alone p50", "p99", "behind p50", "p99"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, each in found.items():
        figures = (each.idle.p50_ms, each.idle.p99_ms, each.behind.p50_ms, each.behind.p99_ms)
        table.add_row(name, *(f"{milliseconds:,.0f}" for milliseconds in figures))
    console.print(table)


async def _milliseconds(ask: Ask, text: str) -> float:
    started_s = time.perf_counter()
    await ask(text)
    return 1000 * (time.perf_counter() - started_s)
