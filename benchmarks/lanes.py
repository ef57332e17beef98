"""`python -m benchmarks.lanes`: short interactive requests, idle and behind a bulk backlog."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.harness import Stage, set_up
from benchmarks.latencies import Latencies, latencies_of
from benchmarks.measure import BenchmarkFailed
from benchmarks.report import RESULTS, machine, write_json
from benchmarks.terminal import progress, run
from benchmarks.texts import read_texts, requested
from benchmarks.traffic import BULK_TOPIC, INTERACTIVE_TOPIC, Exchange
from streamproc.clock import SystemClock
from streamproc.settings import read_settings

SHORT_CHARACTERS: Final = 128
WARM_UP: Final = 100


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured; rate is of interactive requests, a second."""

    backlog: int
    rate: float
    idle_s: float
    threads: int
    json: Path


def main(
    backlog: Annotated[int, typer.Option(min=1, help="bulk requests")] = 20_000,
    rate: Annotated[float, typer.Option(min=0.1, help="interactive requests a second")] = 5.0,
    idle_s: Annotated[float, typer.Option(min=1, help="seconds measured without backlog")] = 30.0,
    threads: Annotated[int, typer.Option(min=1, help="threads that run models")] = 2,
    json: Annotated[Path, typer.Option(help="where figures go")] = RESULTS / "lanes-cpu.json",
) -> None:
    """Measure how long interactive requests wait, alone and while bulk ones are worked off."""
    console = Console()
    run(_measure(Plan(backlog, rate, idle_s, threads, json), console))


async def _measure(plan: Plan, console: Console) -> None:
    say = progress(console)

    texts = read_texts(read_settings().data)
    short = requested([text for text in texts if len(text) <= SHORT_CHARACTERS], 1000)
    bulk = requested(texts, plan.backlog)
    worker = {"device": "cpu", "threads": str(plan.threads), "group_id": "benchmarks-lanes"}
    async with set_up(worker, say) as stage:
        say("warming up")
        await _all(stage, INTERACTIVE_TOPIC, short[:WARM_UP])
        await _all(stage, BULK_TOPIC, bulk[:WARM_UP])
        say(f"idle: {plan.idle_s:g} s")
        idle = await _interactive(stage, short, plan.rate, _for(plan.idle_s))
        say(f"backlog: {plan.backlog} bulk requests")
        behind, bulk_s = await _behind_backlog(stage, plan, short, bulk)
    _report(plan, idle, behind, bulk_s, console)


async def _behind_backlog(
    stage: Stage, plan: Plan, short: Sequence[str], bulk: Sequence[str]
) -> tuple[Latencies, float]:
    """Latencies while the backlog is worked off, and the seconds that takes."""
    backlog = stage.traffic.exchange()
    # All of it is stored before the first interactive request: a backlog, not a stream.
    await stage.traffic.send_all(backlog, BULK_TOPIC, bulk)
    done = asyncio.create_task(backlog.complete(len(bulk)))
    try:
        behind = await _interactive(stage, short, plan.rate, done.done)
        await done
    finally:
        done.cancel()
    _refuse_errors(backlog)
    return behind, max(backlog.answered_s.values()) - min(backlog.sent_s.values())


async def _interactive(
    stage: Stage, texts: Sequence[str], rate: float, over: Callable[[], bool]
) -> Latencies:
    """Send at a steady rate, whatever comes back, until `over`; then wait for the last answers."""
    exchange, due_s = stage.traffic.exchange(), list[float]()
    started_s = time.perf_counter()
    while not due_s or not over():
        number = len(due_s)
        due_s.append(started_s + number / rate)
        await asyncio.sleep(due_s[-1] - time.perf_counter())
        text = texts[number % len(texts)]
        await stage.traffic.send(exchange, INTERACTIVE_TOPIC, number, text)
    await exchange.complete(len(due_s))
    _refuse_errors(exchange)
    return latencies_of(exchange, due_s)


async def _all(stage: Stage, topic: str, texts: Sequence[str]) -> None:
    exchange = stage.traffic.exchange()
    await stage.traffic.send_all(exchange, topic, texts)
    await exchange.complete(len(texts))


def _for(seconds: float) -> Callable[[], bool]:
    end_s = time.perf_counter() + seconds
    return lambda: time.perf_counter() >= end_s


def _refuse_errors(exchange: Exchange) -> None:
    if exchange.refused():
        raise BenchmarkFailed(f"not every request was answered: {exchange.refused()[0]}")


def _report(
    plan: Plan, idle: Latencies, behind: Latencies, bulk_s: float, console: Console
) -> None:
    table = Table(
        title=f"Interactive requests, {plan.rate:g} a second, milliseconds", box=SIMPLE_HEAD
    )
    table.add_column("", no_wrap=True)
    for heading in ("requests", "p50", "p90", "p99", "longest"):
        table.add_column(heading, justify="right", no_wrap=True)
    rows = {"idle": idle, f"behind {plan.backlog:,} bulk requests": behind}
    for name, figures in rows.items():
        milliseconds = (figures.p50_ms, figures.p90_ms, figures.p99_ms, figures.max_ms)
        table.add_row(name, str(figures.requests), *(f"{each:,.0f}" for each in milliseconds))
    console.print(table)
    console.print(f"bulk requests a second meanwhile: {plan.backlog / bulk_s:,.0f}")
    written: dict[str, Any] = {
        "machine": machine(SystemClock()),
        "backlog": plan.backlog,
        "rate_per_s": plan.rate,
        "threads": plan.threads,
        "idle": idle.as_json(),
        "behind_backlog": behind.as_json(),
        "bulk_requests_per_s": plan.backlog / bulk_s,
    }
    write_json(plan.json, written)
    console.print(f"figures: {plan.json}", highlight=False)


if __name__ == "__main__":
    typer.run(main)
