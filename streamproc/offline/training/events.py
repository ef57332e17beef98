"""What happens in a training run, as it happens; showing it is the caller's job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from streamproc.offline.training.training_task import ExportedMember, Metrics


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the optimiser. loss: of its batch, in nats."""

    kind: ClassVar[str] = "step"

    step: int
    steps: int
    epoch: int
    loss: float
    learning_rate: float


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass over the records, and what it has brought on the validation records.

    converged: epochs have brought nothing better for so long that no further one follows; not said
               where there are no more of them anyway
    """

    kind: ClassVar[str] = "epoch"

    epoch: int
    train_loss: float
    validation: Metrics
    best: bool
    converged: bool


@dataclass(frozen=True, slots=True)
class MemberStarted:
    """Training of a member, or of the seed model, begins, or goes on after a step.

    number: of the member among all parts, from 1; 0: it is the seed model
    too_long: of the records, those that are left out for their length
    """

    kind: ClassVar[str] = "started"

    part: str
    number: int
    parts: int
    records: int
    step: int = 0
    too_long: int = 0


@dataclass(frozen=True, slots=True)
class MemberFinished:
    """A member has been trained. best: its best epoch; again: no, it was so already."""

    kind: ClassVar[str] = "finished"

    part: str
    best: Epoch
    again: bool = False


TrainingEvent = MemberStarted | Step | Epoch | MemberFinished


@dataclass(frozen=True, slots=True)
class MemberEvent:
    """What happened to one member. part: as the manifest names it, or the seed model's folder."""

    part: str
    event: TrainingEvent


@dataclass(frozen=True, slots=True)
class TrialFinished:
    """A schedule was tried.

    chosen: its options, by name
    best:   the best epoch they led to; None: training diverged
    """

    trial: int
    trials: int
    chosen: Mapping[str, float]
    best: Epoch | None


@dataclass(frozen=True, slots=True)
class MemberExported:
    """A member was exported, checked and quantised."""

    part: str
    exported: ExportedMember


@dataclass(frozen=True, slots=True)
class EnsembleWritten:
    """The manifest was written; the ensemble can be served."""

    manifest: Path


Event = MemberEvent | TrialFinished | MemberExported | EnsembleWritten

OnEvent = Callable[[Event], None]
OnMemberEvent = Callable[[TrainingEvent], None]
