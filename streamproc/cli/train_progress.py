"""What training tells, on the screen: a table of the members, and a line when something is done."""

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
    from streamproc.offline.training.events import Epoch, OnEvent, Progress, Step
    from streamproc.offline.training.training_task import Metrics


@contextmanager
def shown(*, quiet: bool = False) -> Iterator[OnEvent]:
    """Shows what it is told. On a terminal a table stands below the lines; elsewhere only these,
    and now and then a step on standard error.

    quiet: nothing is shown at all
    """
    console, board = stdout_console(quiet=quiet), Board()
    beside = stderr_console()
    say_step = None if quiet or beside.is_terminal else PlainLines(beside)
    with Live(console=console, get_renderable=board.table, refresh_per_second=4, transient=True):

        def tell(told: Progress) -> None:
            for line in board.take(told, monotonic()):
                console.print(printable(line), soft_wrap=True)
            if say_step and (line := _step(told)):
                say_step(line)

        yield tell
    if console.is_terminal and board.rows:
        console.print(board.table())


@dataclass(slots=True)
class Row:
    """What the table says of a member. begun: when its first step of this run was told."""

    state: str = "waiting"
    epoch: str = ""
    step: int = 0
    steps: int = 0
    loss: str = ""
    metric: str = ""
    left: str = ""
    begun: tuple[float, int] | None = None


@dataclass(slots=True)
class Board:
    """The members' rows, by name."""

    rows: dict[str, Row] = field(default_factory=dict)

    def take(self, told: Progress, now: float) -> Iterator[str]:
        """Note what is told; yields the lines that are to stay."""
        from streamproc.offline.training import events as progress

        match told:
            case progress.MemberEvent(part=part, told=own):
                row = self.rows.setdefault(part, Row())
                match own:
                    case progress.TrunkStarted():
                        row.state, row.step = "training", own.step
                        whole = "the whole corpus, for members to branch off"
                        yield f"{whole}: {own.records} records{_after(own.step)}"
                    case progress.PartStarted():
                        row.state, row.step = "training", own.step
                        place = f"{own.number} of {own.parts}"
                        yield f"{part} ({place}): {own.records} records{_after(own.step)}"
                    case progress.Step():
                        self._step(row, own, now)
                    case progress.Epoch():
                        row.metric = _words(own.judgement, most=1)
                        yield _epoch(part, own)
                    case progress.PartFinished():
                        row.state, row.left = "trained", ""
                        row.metric = _words(own.best.judgement, most=1)
                        if own.again:
                            yield f"{part}: trained before, {_words(own.best.judgement)}"
            case progress.TrialFinished():
                chosen = ", ".join(f"{name} {value:.4g}" for name, value in told.chosen.items())
                reached = _words(told.best.judgement)
                yield f"trial {told.trial} of {told.trials}: {chosen}: {reached}"
            case progress.MemberShipped(part=part, shipped=shipped):
                self.rows.setdefault(part, Row()).state = "exported"
                yield (
                    f"{part}: {shipped.size_bytes / 2**20:.2f} MiB {shipped.precision}, "
                    f"{_words(shipped.shipped)} (fp32 {_words(shipped.fp32)}), "
                    f"ONNX against torch {shipped.export_difference:.1e}"
                )
                yield from (f"  {why}" for why in shipped.why)
            case progress.EnsembleWritten():
                yield f"written: {told.manifest}"

    def _step(self, row: Row, step: Step, now: float) -> None:
        row.epoch, row.step, row.steps = str(step.epoch), step.step, step.steps
        row.loss = f"{step.loss:.3f}"
        if row.begun is None:
            row.begun = (now, step.step)
            return
        since, first = row.begun
        seconds = (now - since) / (step.step - first) * (step.steps - step.step)
        row.left = f"{int(seconds) // 60}:{int(seconds) % 60:02} at most"

    def table(self) -> Table:
        """A row a member."""
        # Live draws it again and again, so it is always a table, and folds where there is no room.
        table = Table("member", "state", "epoch", "step", "loss", "metric", "time left", box=None)
        for column in table.columns:
            column.overflow = "fold"
        for part, row in self.rows.items():
            name = "whole corpus" if part.startswith("_") else part
            step = f"{row.step}/{row.steps}" if row.steps else ""
            table.add_row(name, row.state, row.epoch, step, row.loss, row.metric, row.left)
        return table


def _step(told: Progress) -> str:
    """A line about a step; empty where nothing of the kind is told."""
    from streamproc.offline.training import events as progress

    match told:
        case progress.MemberEvent(part=part, told=progress.Step() as step):
            return f"{part}: step {step.step:,} of {step.steps:,}, loss {step.loss:.3f}"
    return ""


def _epoch(part: str, epoch: Epoch) -> str:
    name = "whole corpus" if part.startswith("_") else part
    return (
        f"{name}, epoch {epoch.epoch}: loss {epoch.train_loss:.3f}, validation loss "
        f"{epoch.judgement.loss:.3f}, {_words(epoch.judgement)}"
        f"{', best so far' if epoch.best else ''}{', converged' if epoch.converged else ''}"
    )


def _after(step: int) -> str:
    return f", goes on after step {step}" if step else ""


def _words(judgement: Metrics, most: int | None = None) -> str:
    named = list(judgement.metrics.items())[:most]
    return ", ".join(f"{name} {value:.4f}" for name, value in named)
