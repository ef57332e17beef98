"""The systems that are compared: an ensemble as it is served, each member alone, and others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from streamproc.errors import EvaluationError
from streamproc.repository.manifest import CombineSection, ConfidenceSection
from streamproc.repository.repository import StoredEnsemble
from streamproc.serving.ensembling.steps import STEP_STRATEGIES
from streamproc.serving.tasks.decoding_task import DecodingTask
from streamproc.serving.tasks.task import Task
from streamproc.types import Strategy

Role = Literal["ensemble", "member", "strategy", "other"]


@dataclass(frozen=True, slots=True)
class System:
    """What answers the requests of an evaluation.

    role:   "strategy" is the ensemble with its members combined in another way
    params: of its requests, beside those that all systems get
    """

    name: str
    role: Role
    stored: StoredEnsemble
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def strategy(self) -> Strategy:
        """How its members are combined."""
        chosen: Strategy = self.params.get("combine", self.stored.manifest.combine.strategy)
        return chosen

    @property
    def title(self) -> str:
        """Its name in tables and plots."""
        members = len(self.stored.manifest.members)
        if self.role == "member":
            return f"member {self.name}"
        if self.role == "strategy":
            return f"combined by {self.name}"
        return f"{self.name}, {f'{self.strategy} of {members}' if members > 1 else 'one member'}"


def systems_to_compare(
    stored: StoredEnsemble, task: Task, others: Sequence[StoredEnsemble] = ()
) -> list[System]:
    """The ensemble first, then its members, its other strategies, and the other ensembles.

    Raises EvaluationError when another ensemble is for another task, or is one of them already.
    """
    manifest = stored.manifest
    found = [System(stored.name, "ensemble", stored)]
    if len(manifest.members) > 1:
        found += [
            System(member.name, "member", single_member(stored, member.name))
            for member in manifest.members
        ]
        found += [
            System(strategy, "strategy", stored, {"combine": strategy})
            for strategy in _other_strategies(stored, task)
        ]
    for other in others:
        if any(one.name == other.name for one in found if one.role in {"ensemble", "other"}):
            raise EvaluationError(
                f"ensemble {other.name} is measured already: name it once, and another --against it"
            )
        if other.manifest.task != manifest.task:
            raise EvaluationError(
                f"ensemble {other.manifest.name} is for {other.manifest.task}; {manifest.name}, "
                f"beside which it is to be measured, for {manifest.task}."
            )
        if other.manifest.problem_type != manifest.problem_type:
            raise EvaluationError(
                f"ensemble {other.manifest.name} is a {other.manifest.problem_type}; "
                f"{manifest.name}, beside which it is to be measured, a {manifest.problem_type}."
            )
        found.append(System(other.name, "other", other))
    return found


def single_member(stored: StoredEnsemble, member: str) -> StoredEnsemble:
    """The ensemble of that one member."""
    only = tuple(one for one in stored.manifest.members if one.name == member)
    changes = {
        "members": only,
        "quorum": None,
        "combine": CombineSection(),
        "confidence": ConfidenceSection(),
    }
    return replace(stored, manifest=stored.manifest.model_copy(update=changes))


def strategies_of(stored: StoredEnsemble, task: Task) -> Sequence[Strategy]:
    """Those that mean something for the task, and for what the members' outputs are."""
    if isinstance(task, DecodingTask):
        return STEP_STRATEGIES
    return task.strategies_of(stored.manifest.problem_type)


def _other_strategies(stored: StoredEnsemble, task: Task) -> list[str]:
    """Those that the task knows and that would not give the ensemble's own answers again."""
    manifest = stored.manifest
    known = strategies_of(stored, task)
    same: set[str] = {manifest.combine.strategy}
    if len({member.weight for member in manifest.members}) == 1 and same & {"mean", "weighted"}:
        same |= {"mean", "weighted"}
    if manifest.gate is None:
        same.add("gated")
    return [strategy for strategy in known if strategy not in same]
