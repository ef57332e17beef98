"""`python -m benchmarks.brown_out`: more requests than a worker can answer, with and without.

Requests come at some times the rate that a worker answers with all members, for a while. A worker
that leaves members out meanwhile is beside one that does not: how long the oldest request that is
not answered has waited, second by second, and by how many members answers came.

`--models-dir build/full-size` (`python -m benchmarks.full_size`) is an ensemble whose members share
nothing, so that leaving one out saves all of it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.harness import Stage, set_up
from benchmarks.report import RESULTS, machine, write_json
from benchmarks.terminal import progress, run
from benchmarks.texts import read_texts, requested
from benchmarks.traffic import INTERACTIVE_TOPIC, Exchange
from streamproc.clock import SystemClock
from streamproc.offline.evaluation.plot_style import GREY, png_of, styled_figure
from streamproc.settings import read_settings

WARM_UP: Final = 100
WITHOUT, WITH = "all members", "brown-out"


@dataclass(frozen=True, slots=True)
class Plan:
    """factor: times the capacity; flood_s: for how long; objective_s: the lag that begins it"""

    models_dir: Path
    capacity_requests: int
    factor: float
    flood_s: float
    objective_s: float
    threads: int
    json: Path
    plot: Path | None


@dataclass(frozen=True, slots=True)
class Flood:
    """lag_s: at every second, of the oldest request that is not answered

    members: how many answers came of how many members
    """

    requests: int
    over_s: float
    lag_s: Sequence[float]
    members: dict[int, int]

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        return {
            "requests": self.requests,
            "all_answered_after_s": self.over_s,
            "longest_lag_s": max(self.lag_s),
            "lag_s": list(self.lag_s),
            "answers_by_members": {str(count): times for count, times in self.members.items()},
        }


def main(
    models_dir: Annotated[Path, typer.Option(help="models")] = Path("build/full-size"),
    factor: Annotated[float, typer.Option(min=1, help="times what a worker can answer")] = 3.0,
    flood_s: Annotated[float, typer.Option(min=1, help="seconds that requests come")] = 30.0,
    objective_s: Annotated[float, typer.Option(min=0.1, help="lag that is too long")] = 2.0,
    capacity_requests: Annotated[
        int, typer.Option(min=10, help="requests that capacity is measured by")
    ] = 400,
    threads: Annotated[int, typer.Option(min=1, help="threads that run models")] = 2,
    json: Annotated[Path, typer.Option(help="where figures go")] = RESULTS / "brown-out-cpu.json",
    plot: Annotated[Path | None, typer.Option(help="PNG to draw the lag into")] = None,
) -> None:
    """Measure how long requests wait while there are too many of them."""
    console = Console()
    plan = Plan(
        models_dir.resolve(),
        capacity_requests, factor, flood_s, objective_s, threads, json, plot,
    )  # fmt: skip
    run(_measure(plan, console))


async def _measure(plan: Plan, console: Console) -> None:
    say = progress(console)

    texts = requested(read_texts(read_settings().data), 2000)
    rate, found = 0.0, dict[str, Flood]()
    for name, objective_s in ((WITHOUT, 0.0), (WITH, plan.objective_s)):
        worker = {
            "device": "cpu",
            "models_dir": str(plan.models_dir),
            "threads": str(plan.threads),
            "tasks": "text-classification",
            "group_id": f"benchmarks-{name.replace(' ', '-')}",
            "brown_out_lag_s": str(objective_s),
        }
        async with set_up(worker, say) as stage:
            if not rate:
                say("how many requests it answers")
                rate = plan.factor * await _capacity(stage, texts, plan.capacity_requests)
            else:
                await _all(stage, texts[:WARM_UP])
            say(f"{name}: {rate:.0f} requests a second for {plan.flood_s:g} s")
            found[name] = await _flood(stage, texts, rate, plan.flood_s)
    _report(plan, rate, found, console)


async def _capacity(stage: Stage, texts: Sequence[str], count: int) -> float:
    """Requests a second, all sent at once."""
    await _all(stage, texts[:WARM_UP])
    exchange = await _all(stage, texts[:count])
    return count / (max(exchange.answered_s.values()) - min(exchange.sent_s.values()))


async def _all(stage: Stage, texts: Sequence[str]) -> Exchange:
    exchange = stage.traffic.exchange()
    await stage.traffic.send_all(exchange, INTERACTIVE_TOPIC, texts)
    await exchange.complete(len(texts))
    return exchange


async def _flood(stage: Stage, texts: Sequence[str], rate: float, seconds: float) -> Flood:
    exchange, began_s, sent = stage.traffic.exchange(), time.perf_counter(), 0
    while sent / rate < seconds:
        await asyncio.sleep(began_s + sent / rate - time.perf_counter())
        await stage.traffic.send(exchange, INTERACTIVE_TOPIC, sent, texts[sent % len(texts)])
        sent += 1
    await exchange.complete(sent)
    over_s = max(exchange.answered_s.values()) - began_s
    members = Counter(
        sum(member["status"] == "ok" for member in response["members"])
        for response in exchange.responses.values()
    )
    lag = [_lag_s(exchange, began_s + second) for second in range(1, int(over_s) + 2)]
    return Flood(sent, over_s, lag, dict(sorted(members.items())))


def _lag_s(exchange: Exchange, now_s: float) -> float:
    """For how long the oldest request has waited that was sent and not answered by then."""
    waiting = [
        sent
        for number, sent in exchange.sent_s.items()
        if sent <= now_s < exchange.answered_s[number]
    ]
    return now_s - min(waiting, default=now_s)


def _report(plan: Plan, rate: float, found: dict[str, Flood], console: Console) -> None:
    table = Table(
        title=f"{rate:.0f} requests a second, {plan.factor:g} × capacity", box=SIMPLE_HEAD
    )
    table.add_column("", no_wrap=True)
    shown: dict[str, Callable[[Flood], str]] = {
        "requests": lambda one: f"{one.requests:,}",
        "longest lag s": lambda one: f"{max(one.lag_s):.1f}",
        "all answered after s": lambda one: f"{one.over_s:.1f}",
        "answers by members": lambda one: ", ".join(f"{m}: {n:,}" for m, n in one.members.items()),
    }
    for heading in shown:
        table.add_column(heading, justify="right")
    for name, flood in found.items():
        table.add_row(name, *(show(flood) for show in shown.values()))
    console.print(table)
    write_json(
        plan.json,
        {
            "machine": machine(SystemClock()),
            "rate_per_s": rate,
            "factor": plan.factor,
            "flood_s": plan.flood_s,
            "objective_s": plan.objective_s,
            **{name: flood.as_json() for name, flood in found.items()},
        },
    )
    console.print(f"figures: {plan.json}", highlight=False)
    if plan.plot is not None:
        _draw(plan, found, plan.plot)


def _draw(plan: Plan, found: dict[str, Flood], file: Path) -> None:
    with styled_figure(3.4) as figure:
        axes = figure.subplots()
        for (name, flood), color in zip(found.items(), ("#D55E00", "#0072B2"), strict=True):
            seconds = range(1, len(flood.lag_s) + 1)
            axes.plot(seconds, flood.lag_s, color=color, label=name)
        axes.axhline(plan.objective_s, linestyle=":", color=GREY, label="objective")
        axes.axvline(plan.flood_s, linestyle="--", color=GREY, label="no more requests come")
        axes.set_xlabel("seconds")
        axes.set_ylabel("the oldest request has waited, s")
        axes.legend()
        file.write_bytes(png_of(figure))


if __name__ == "__main__":
    typer.run(main)
