"""What training tells of itself as it goes on; showing it is the caller's job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from streamproc.training.course import Judgement, Shipped


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

    converged: no further epoch follows
    """

    epoch: int
    train_loss: float
    judgement: Judgement
    best: bool
    converged: bool


@dataclass(frozen=True, slots=True)
class TrunkStarted:
    """Training of the model that members branch off begins."""

    records: int


@dataclass(frozen=True, slots=True)
class PartStarted:
    """A member's training begins, or goes on. step: how far it had come before, in steps."""

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
class MemberShipped:
    """A member was exported, checked and quantised."""

    part: str
    shipped: Shipped


@dataclass(frozen=True, slots=True)
class EnsembleWritten:
    """The manifest was written; the ensemble can be served."""

    manifest: Path


@dataclass(frozen=True, slots=True)
class Of:
    """What is told of one member. part: as the manifest names it, or the trunk's folder."""

    part: str
    told: TrunkStarted | PartStarted | Step | Epoch | PartFinished


Progress = Of | MemberShipped | EnsembleWritten

Tell = Callable[[Progress], None]
# As one member's training tells it.
TellOwn = Callable[[TrunkStarted | PartStarted | Step | Epoch | PartFinished], None]
