"""Who answers: an ensemble as it is served, each member alone, and other ways to combine them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from streamproc.errors import EvaluationError
from streamproc.repository.manifest import CombineSection
from streamproc.repository.repository import StoredEnsemble
from streamproc.serving.ensembling.steps import STEP_STRATEGIES
from streamproc.serving.tasks.decoding_task import DecodingTask
from streamproc.serving.tasks.task import Task
from streamproc.types import Strategy

Role = Literal["ensemble", "member", "way", "other"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """params: of every request that is put to it, beside those that all contenders get"""

    name: str
    role: Role
    stored: StoredEnsemble
    params: Mapping[str, Any]

    @property
    def strategy(self) -> Strategy:
        """How its members are combined."""
        chosen: Strategy = self.params.get("combine", self.stored.manifest.combine.strategy)
        return chosen


def contenders(
    stored: StoredEnsemble, task: Task, others: Sequence[StoredEnsemble] = ()
) -> list[Candidate]:
    """The ensemble first, then its members, its other ways to combine, and the other ensembles.

    Raises EvaluationError when another ensemble is for another task.
    """
    manifest = stored.manifest
    found = [Candidate(manifest.name, "ensemble", stored, {})]
    if len(manifest.members) > 1:
        found += [
            Candidate(member.name, "member", alone(stored, member.name), {})
            for member in manifest.members
        ]
        found += [
            Candidate(way, "way", stored, {"combine": way}) for way in _other_ways(stored, task)
        ]
    for other in others:
        if other.manifest.task != manifest.task:
            raise EvaluationError(
                f"ensemble {other.manifest.name} is for {other.manifest.task}; {manifest.name}, "
                f"beside which it is to be measured, for {manifest.task}."
            )
        found.append(Candidate(other.manifest.name, "other", other, {}))
    return found


def alone(stored: StoredEnsemble, member: str) -> StoredEnsemble:
    """The ensemble of that one member."""
    only = tuple(one for one in stored.manifest.members if one.name == member)
    changes = {"members": only, "quorum": None, "combine": CombineSection()}
    return replace(stored, manifest=stored.manifest.model_copy(update=changes))


def _other_ways(stored: StoredEnsemble, task: Task) -> list[str]:
    manifest = stored.manifest
    ways: Sequence[str] = STEP_STRATEGIES if isinstance(task, DecodingTask) else task.strategies
    same = {manifest.combine.strategy}
    if len({member.weight for member in manifest.members}) == 1 and same & {"mean", "weighted"}:
        same |= {"mean", "weighted"}
    if manifest.gate is None:
        same.add("gated")
    return [way for way in ways if way not in same]
