"""Training runs, and what they tell."""

from __future__ import annotations

from streamproc.offline.training.ensemble import train_ensemble
from streamproc.offline.training.events import Epoch, MemberEvent, MemberShipped, Progress
from streamproc.offline.training.plan import Plan


def told_by(plan: Plan) -> list[Progress]:
    """Train and export; all that was told."""
    told: list[Progress] = []
    train_ensemble(plan, told.append)
    return told


def shipped(told: list[Progress]) -> list[MemberShipped]:
    """The members that were exported, in order."""
    return [one for one in told if isinstance(one, MemberShipped)]


def epochs(told: list[Progress], part: str) -> list[Epoch]:
    """The epochs of a member, in order."""
    own = [one.told for one in told if isinstance(one, MemberEvent) and one.part == part]
    return [one for one in own if isinstance(one, Epoch)]
