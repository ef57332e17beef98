"""`python -m benchmarks.start_up`: CPU time of a worker until it is ready, and of its imports.

CPU time, as the machine may have others to serve, of processes that find all that they import
compiled.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Annotated, Final

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.harness import apply_topics
from benchmarks.measure import BenchmarkFailed
from benchmarks.report import RESULTS, machine, write_json
from benchmarks.terminal import progress, run
from benchmarks.worker import running_worker
from streamproc.clock import SystemClock
from streamproc.kafka.embedded import EmbeddedBroker

READY: Final = "a worker that is ready, all tasks shipped"
COMMANDS: Final = {
    "`streamproc --help`": ("-m", "streamproc", "--help"),
    "a worker's imports": ("-c", "import streamproc.cli.worker, streamproc.worker.run"),
}


def main(
    rounds: Annotated[int, typer.Option(min=1, help="starts of each")] = 5,
    json: Annotated[Path, typer.Option(help="where figures go")] = RESULTS / "start-up.json",
) -> None:
    """Measure the CPU seconds that a start takes."""
    # Else each process would compile all that it imports again, which takes as long as the rest.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    console = Console()
    found = run(_measure(rounds, console))
    table = Table(title="CPU seconds, medians and least", box=SIMPLE_HEAD)
    table.add_column("")
    table.add_column("median", justify="right")
    table.add_column("least", justify="right")
    for name, seconds in found.items():
        table.add_row(name, f"{median(seconds):.2f}", f"{min(seconds):.2f}")
    console.print(table)
    write_json(json, {"machine": machine(SystemClock()), "cpu_s": found})
    console.print(f"figures: {json}", highlight=False)


async def _measure(rounds: int, console: Console) -> dict[str, list[float]]:
    say = progress(console)
    found: dict[str, list[float]] = {name: [] for name in (*COMMANDS, READY)}
    broker = EmbeddedBroker()
    try:
        await asyncio.to_thread(broker.start)
        reached = {"kafka_bootstrap_servers": broker.bootstrap_servers}
        await apply_topics(reached)
        # The first of each compiles what it imports, and is not counted.
        for turn in range(rounds + 1):
            say(f"round {turn} of {rounds}")
            took = {
                name: await asyncio.to_thread(_cpu_s, command) for name, command in COMMANDS.items()
            }
            took[READY] = await _until_ready({**reached, "group_id": f"start-{turn}"})
            for name, seconds in took.items():
                found[name] += [seconds] if turn else []
    finally:
        await asyncio.to_thread(broker.stop)
    return found


def _cpu_s(command: Sequence[str]) -> float:
    """Of a process, to its end."""
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise BenchmarkFailed(f"{' '.join(command)} failed")
    return usage.ru_utime + usage.ru_stime


async def _until_ready(settings: dict[str, str]) -> float:
    with tempfile.TemporaryDirectory(prefix="streamproc-bench-") as folder:
        async with running_worker(settings, Path(folder)) as worker:
            seconds = worker.cpu_seconds()
    if seconds is None:
        raise BenchmarkFailed("this system does not tell what a process has used")
    return seconds


if __name__ == "__main__":
    typer.run(main)
