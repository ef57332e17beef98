"""What training tells of itself as it goes on; showing it is the caller's job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from streamproc.offline.training.training_task import ExportedMember, Metrics


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the optimiser. loss: of its batch, in nats."""

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

    epoch: int
    train_loss: float
    judgement: Metrics
    best: bool
    converged: bool


@dataclass(frozen=True, slots=True)
class TrunkStarted:
    """Training of the model that members branch off begins, or goes on after a step."""

    records: int
    step: int = 0


@dataclass(frozen=True, slots=True)
class PartStarted:
    """A member's training begins, or goes on after a step."""

    part: str
    number: int
    parts: int
    records: int
    step: int = 0


@dataclass(frozen=True, slots=True)
class PartFinished:
    """A member has been trained. best: its best epoch; again: no, it was so already."""

    part: str
    best: Epoch
    again: bool = False


@dataclass(frozen=True, slots=True)
class TrialFinished:
    """Some settings were tried. chosen: these, by name; best: the best epoch they led to."""

    trial: int
    trials: int
    chosen: Mapping[str, float]
    best: Epoch


@dataclass(frozen=True, slots=True)
class MemberShipped:
    """A member was exported, checked and quantised."""

    part: str
    shipped: ExportedMember


@dataclass(frozen=True, slots=True)
class EnsembleWritten:
    """The manifest was written; the ensemble can be served."""

    manifest: Path


@dataclass(frozen=True, slots=True)
class MemberEvent:
    """What is told of one member. part: as the manifest names it, or the trunk's folder."""

    part: str
    told: TrunkStarted | PartStarted | Step | Epoch | PartFinished


Progress = MemberEvent | TrialFinished | MemberShipped | EnsembleWritten

OnEvent = Callable[[Progress], None]
# As one member's training tells it.
OnMemberEvent = Callable[[TrunkStarted | PartStarted | Step | Epoch | PartFinished], None]
