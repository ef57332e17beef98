"""Training runs, and what happens in them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from streamproc.offline.training.config import TrainConfig
from streamproc.offline.training.ensemble import train_ensemble
from streamproc.offline.training.events import Epoch, Event, MemberEvent, MemberExported
from streamproc.offline.training.plan import TrainingPlan


def options(out: Path, **others: Any) -> TrainConfig:
    """Options of a run for whose plan a test has recipe and data of its own."""
    given = {"ensemble": "tiny", "corpus": ["there"], "valid": ["there"], "threads": 1}
    return TrainConfig.read({**given, "out": out / "models", "work": out / "work", **others})


def changed(plan: TrainingPlan, **others: Any) -> TrainingPlan:
    """A plan with other options."""
    return dataclasses.replace(plan, config=plan.config.model_copy(update=others))


def events_of(plan: TrainingPlan) -> list[Event]:
    """Train and export; all that has happened."""
    events: list[Event] = []
    train_ensemble(plan, events.append)
    return events


def exported(events: list[Event]) -> list[MemberExported]:
    """The members that were exported, in order."""
    return [one for one in events if isinstance(one, MemberExported)]


def epochs(events: list[Event], part: str) -> list[Epoch]:
    """The epochs of a member, in order."""
    own = [one.event for one in events if isinstance(one, MemberEvent) and one.part == part]
    return [one for one in own if isinstance(one, Epoch)]
