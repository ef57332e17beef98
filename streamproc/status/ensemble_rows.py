"""Ensembles over all workers of a group: what they do, what is refused, what members chose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from streamproc.messages.worker_state import EnsembleState, MemberState, WorkerState

MOST_DISAGREEMENTS: Final = 20


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A member over all workers; more than one version: workers differ."""

    name: str
    versions: tuple[str, ...]
    late: int
    failed: int
    agreement: float | None
    ms_per_1000_tokens: float | None


@dataclass(frozen=True, slots=True)
class EnsembleRow:
    """An ensemble over all workers; more than one version or manifest: workers differ."""

    name: str
    task: str
    versions: tuple[str, ...]
    manifests: tuple[str, ...]
    tokens_per_s: float
    queued_tokens: int
    batch_fill: float | None
    padding: float | None
    members: tuple[MemberRow, ...]


@dataclass(frozen=True, slots=True)
class DisagreementRow:
    """A request whose members chose otherwise than all together; nothing of its text.

    position: of its record, `topic:topic-partition:offset`
    together: what was answered: labels, or where in the context the answer is
    members: what each that answered chose, by its name
    """

    at_ms: int
    task: str
    ensemble: str
    request_id: str
    position: str
    agreement: float
    together: str
    members: Mapping[str, str]


def ensemble_rows(live: Sequence[WorkerState]) -> list[EnsembleRow]:
    """One for each ensemble of a task, by name."""
    by_name: dict[tuple[str, str], list[EnsembleState]] = {}
    for state in live:
        for ensemble in state.ensembles:
            by_name.setdefault((ensemble.task, ensemble.name), []).append(ensemble)
    return [
        EnsembleRow(
            name=name,
            task=task,
            versions=_distinct(one.version for one in found if one.version),
            manifests=_distinct(one.manifest for one in found),
            tokens_per_s=round(sum(one.tokens_per_s for one in found), 1),
            queued_tokens=sum(one.queued_tokens for one in found),
            batch_fill=_mean(one.batch_fill for one in found),
            padding=_mean(one.padding for one in found),
            members=tuple(_members(found)),
        )
        for (task, name), found in sorted(by_name.items())
    ]


def disagreement_rows(live: Sequence[WorkerState]) -> list[DisagreementRow]:
    """The last of all workers, the newest first."""
    found = [
        DisagreementRow(
            at_ms=one.at_ms,
            task=ensemble.task,
            ensemble=ensemble.name,
            request_id=one.request_id,
            position=one.position,
            agreement=one.agreement,
            together=one.together,
            members=one.members,
        )
        for state in live
        for ensemble in state.ensembles
        for one in ensemble.disagreements
    ]
    return sorted(found, key=lambda row: row.at_ms, reverse=True)[:MOST_DISAGREEMENTS]


def refused_versions(live: Sequence[WorkerState]) -> list[str]:
    """A sentence for each version that workers were to serve and do not."""
    refused: dict[tuple[str, str, str], list[str]] = {}
    for state in live:
        for one in state.ensembles:
            if one.refused is not None:
                about = f"{one.name}@{one.wanted}", f"{one.name}@{one.version}", one.refused
                refused.setdefault(about, []).append(state.worker)
    return [
        f"{wanted} is promoted, and {', '.join(workers)} "
        f"{'keeps' if len(workers) == 1 else 'keep'} {kept}: {reason}"
        for (wanted, kept, reason), workers in sorted(refused.items())
    ]


def _members(ensembles: Sequence[EnsembleState]) -> list[MemberRow]:
    by_name: dict[str, list[MemberState]] = {}
    for ensemble in ensembles:
        for member in ensemble.members:
            by_name.setdefault(member.name, []).append(member)
    return [
        MemberRow(
            name=name,
            versions=_distinct(one.version for one in found),
            late=sum(one.late for one in found),
            failed=sum(one.failed for one in found),
            agreement=_mean(one.agreement for one in found),
            ms_per_1000_tokens=_mean(one.ms_per_1000_tokens for one in found),
        )
        for name, found in by_name.items()
    ]


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(values)))


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 3) if known else None
