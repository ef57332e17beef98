"""A load run from the command line: workers reached, steps shown as they end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import typer

from streamproc.cli.interruption import Interrupted, interruptible
from streamproc.client.connections import Connection, OverHttp, OverKafka
from streamproc.clock import SystemClock
from streamproc.errors import SettingsError
from streamproc.messages.lane import Lane
from streamproc.offline.load.arrivals import Replayed
from streamproc.offline.load.mix import Kind
from streamproc.offline.load.plan import LoadPlan, OpenLoop, run_plan
from streamproc.offline.load.recording import StepResult
from streamproc.offline.load.report import LoadReport
from streamproc.offline.load.targets import opened
from streamproc.offline.load.worker_use import WorkerStates
from streamproc.settings import Settings


@dataclass(frozen=True, slots=True)
class Reached:
    """How workers are reached.

    http: the address of a gateway; None: through Kafka
    """

    settings: Settings
    http: str | None
    api_key_file: Path | None
    timeout_s: float

    def connection_of(self) -> Callable[[Lane], Connection]:
        """By a lane; raises SettingsError."""
        if self.http is None:
            if self.api_key_file is not None:
                raise SettingsError("--api-key-file is for a gateway: give its address with --http")
            return lambda lane: OverKafka(self.settings, lane, timeout_s=self.timeout_s)
        if not self.http.startswith(("http://", "https://")):
            raise SettingsError(f"--http {self.http}: write the address as http://127.0.0.1:8080")
        key = None if self.api_key_file is None else _key(self.api_key_file)
        address = self.http
        return lambda lane: OverHttp(address, key, lane, self.timeout_s)


def run_load(
    plan: LoadPlan, reached: Reached, command: str, tell: Callable[[StepResult], None]
) -> LoadReport:
    """Run all steps; tell: is told each when it has ended.

    After Ctrl-C or SIGTERM the report has the steps that have ended; typer.Exit where none has.
    Raises OperatorError.
    """
    clock = SystemClock()
    connection_of = reached.connection_of()
    date = datetime.fromtimestamp(clock.now_ms() / 1000, UTC).isoformat(timespec="seconds")
    steps: list[StepResult] = []
    unwatched, interrupted = "", False

    async def run() -> None:
        nonlocal unwatched
        with interruptible():
            async with AsyncExitStack() as stack:
                ask = await stack.enter_async_context(opened(_kinds(plan), connection_of))
                workers = None
                if reached.http is None:
                    workers = await stack.enter_async_context(WorkerStates(reached.settings))
                async for step in run_plan(plan, ask, clock, workers):
                    steps.append(step)
                    tell(step)
                if workers is None:
                    unwatched = "through a gateway none is asked; `streamproc status` shows them"
                elif not any(step.workers for step in steps):
                    group = reached.settings.group_id
                    unwatched = workers.reason or f"none of the group {group} said anything"

    try:
        asyncio.run(run())
    except (Interrupted, KeyboardInterrupt) as stopped:
        interrupted = True
        if not steps:
            code = stopped.exit_code if isinstance(stopped, Interrupted) else 130
            raise typer.Exit(code) from None
    through = "Kafka" if reached.http is None else "a gateway"
    return LoadReport(plan, steps, through, command, date, unwatched, interrupted)


def _kinds(plan: LoadPlan) -> set[Kind]:
    """Those that may come: of the mix, and of a trace, which may have a task or a lane alone."""
    kinds = set(plan.mix.kinds.choices)
    arrivals = plan.loop.arrivals if isinstance(plan.loop, OpenLoop) else None
    if isinstance(arrivals, Replayed):
        named = {(one.task, one.lane) for one in arrivals.recorded}
        kinds |= {
            Kind(task or kind.task, kind.lane if lane is None else lane)
            for task, lane in named
            for kind in plan.mix.kinds.choices
        }
    return kinds


def _key(path: Path) -> str:
    try:
        key = path.read_text("utf-8").strip()
    except OSError as error:
        raise SettingsError(f"can't read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not UTF-8; it should hold a gateway's key") from None
    if not key or not key.isascii() or not key.isprintable():
        raise SettingsError(f"{path} should hold a gateway's key, on one line")
    return key
