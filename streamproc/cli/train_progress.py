"""Training on the screen: a table of the members, and a line when something is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

from rich.live import Live
from rich.table import Table

from streamproc.cli.progress import PlainLines
from streamproc.cli.terminal import stderr_console, stdout_console
from streamproc.logs.printable import printable

if TYPE_CHECKING:
    from streamproc.offline.training.events import (
        Epoch,
        Event,
        MemberStarted,
        OnEvent,
        Step,
        TrainingEvent,
    )
    from streamproc.offline.training.training_task import Metrics


@contextmanager
def showing_progress(*, quiet: bool = False) -> Iterator[OnEvent]:
    """Shows events. On a terminal a table stands below the lines; elsewhere there are only these,
    and now and then a step on standard error.

    quiet: nothing is shown at all
    """
    console, table = stdout_console(quiet=quiet), ProgressTable()
    stderr = stderr_console()
    say_step = None if quiet or stderr.is_terminal else PlainLines(stderr)
    with Live(console=console, get_renderable=table.render, refresh_per_second=4, transient=True):

        def on_event(event: Event) -> None:
            for line in table.update(event, monotonic()):
                console.print(printable(line), soft_wrap=True)
            if say_step and (line := _step_line(event)):
                say_step(line)

        yield on_event
    if console.is_terminal and table.rows:
        console.print(table.render())


@dataclass(slots=True)
class MemberRow:
    """What the table says of a member. since: when its first step now was, and which one."""

    state: str = "waiting"
    epoch: str = ""
    step: int = 0
    steps: int = 0
    loss: str = ""
    metric: str = ""
    left: str = ""
    since: tuple[float, int] | None = None


@dataclass(slots=True)
class ProgressTable:
    """The members' rows, by name."""

    rows: dict[str, MemberRow] = field(default_factory=dict)

    def update(self, event: Event, now: float) -> Iterator[str]:
        """Take an event in; yields the lines that are to stay."""
        from streamproc.offline.training import events

        match event:
            case events.MemberEvent():
                yield from self._update_member(event.part, event.event, now)
            case events.TrialFinished():
                chosen = ", ".join(f"{name} {value:.4g}" for name, value in event.chosen.items())
                reached = _shown(event.best.validation) if event.best else "diverged"
                yield f"trial {event.trial} of {event.trials}: {chosen}: {reached}"
            case events.MemberExported(part=part, exported=exported):
                self.rows.setdefault(part, MemberRow()).state = "exported"
                yield (
                    f"{part}: {exported.size_bytes / 2**20:.2f} MiB {exported.precision}, "
                    f"{_shown(exported.validation)} (fp32 {_shown(exported.validation_fp32)}), "
                    f"ONNX against torch {exported.export_difference:.1e}"
                )
                yield from (f"  {why}" for why in exported.why)
            case events.EnsembleWritten():
                yield f"written: {event.manifest}"

    def _update_member(self, part: str, event: TrainingEvent, now: float) -> Iterator[str]:
        from streamproc.offline.training import events

        row = self.rows.setdefault(part, MemberRow())
        match event:
            case events.MemberStarted():
                # A trial of a search trains a member that was trained before.
                row.state, row.step, row.since = "training", event.step, None
                yield _started_line(event)
            case events.Step():
                _update_step(row, event, now)
            case events.Epoch():
                row.metric = _shown(event.validation, most=1)
                yield _epoch_line(part, event)
            case events.MemberFinished():
                row.state, row.left = "trained", ""
                row.metric = _shown(event.best.validation, most=1)
                if event.again:
                    yield f"{part}: trained before, {_shown(event.best.validation)}"

    def render(self) -> Table:
        """A row a member."""
        # Live draws it again and again, so it is always a table, and folds where there is no room.
        table = Table("member", "state", "epoch", "step", "loss", "metric", "time left", box=None)
        for column in table.columns:
            column.overflow = "fold"
        for part, row in self.rows.items():
            step = f"{row.step}/{row.steps}" if row.steps else ""
            table.add_row(_name(part), row.state, row.epoch, step, row.loss, row.metric, row.left)
        return table


def _update_step(row: MemberRow, step: Step, now: float) -> None:
    row.epoch, row.step, row.steps = str(step.epoch), step.step, step.steps
    row.loss = f"{step.loss:.3f}"
    if row.since is None:
        row.since = (now, step.step)
        return
    since, first = row.since
    seconds = (now - since) / (step.step - first) * (step.steps - step.step)
    row.left = f"{int(seconds) // 60}:{int(seconds) % 60:02} at most"


def _started_line(event: MemberStarted) -> str:
    what = f"{event.part} ({event.number} of {event.parts})"
    if event.number == 0:
        what = "seed model, on the whole corpus"
    resumed = f", resumes after step {event.step}" if event.step else ""
    left_out = f", {event.too_long} of them too long and left out" if event.too_long else ""
    return f"{what}: {event.records} records{left_out}{resumed}"


def _step_line(event: Event) -> str:
    """A line about a step; empty where the event is no step."""
    from streamproc.offline.training import events

    match event:
        case events.MemberEvent(part=part, event=events.Step() as step):
            return f"{_name(part)}: step {step.step:,} of {step.steps:,}, loss {step.loss:.3f}"
    return ""


def _epoch_line(part: str, epoch: Epoch) -> str:
    return (
        f"{_name(part)}, epoch {epoch.epoch}: loss {epoch.train_loss:.3f}, validation loss "
        f"{epoch.validation.loss:.3f}, {_shown(epoch.validation)}"
        f"{', best so far' if epoch.best else ''}{', converged' if epoch.converged else ''}"
    )


def _name(part: str) -> str:
    return "seed model" if part.startswith("_") else part


def _shown(metrics: Metrics, most: int | None = None) -> str:
    some = list(metrics.metrics.items())[:most]
    return ", ".join(f"{name} {value:.4f}" for name, value in some)
