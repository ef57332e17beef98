"""Why a member has no result for a chunk, how that is counted, and what too few results come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from streamproc.errors import (
    MemberDown,
    MemberError,
    MemberLate,
    MembersLate,
    QuorumNotMet,
    WorkerFault,
)
from streamproc.metrics import Metrics

MemberFailure = MemberError | WorkerFault
"""Why a member has no result for an item."""

FailureStatus = Literal["late", "failed"]


def failure_status(failure: MemberFailure) -> FailureStatus:
    """As responses and metrics put it."""
    hangs = isinstance(failure, MemberDown) and failure.hangs
    return "late" if hangs or isinstance(failure, MemberLate) else "failed"


class FailureCounter:
    """Counts the chunks that members have no result for, and says which members are left out.

    Every member's counts are there from the start, so that a rate has something to start from.
    """

    def __init__(self, metrics: Metrics, ensemble: str, members: Sequence[str]) -> None:
        """members: for which each failure counts: one, or all where it was before all of them"""
        self._counters = {
            status: [metrics.member_failures.labels(ensemble, name, status) for name in members]
            for status in get_args(FailureStatus)
        }
        self._left_out = [metrics.member_circuit_open.labels(ensemble, name) for name in members]

    def count(self, failure: MemberFailure) -> None:
        """There is no result for one chunk."""
        for counter in self._counters[failure_status(failure)]:
            counter.inc()

    def left_out(self, whether: bool) -> None:
        """Calls of one kind are not made any more, or made again."""
        for gauge in self._left_out:
            gauge.inc(1 if whether else -1)


def quorum_error(
    answered: int, members: int, needed: int, failures: Mapping[str, MemberFailure]
) -> WorkerFault | QuorumNotMet:
    """What too few answers for one item come to, whoever is at fault.

    failures: why members have no result, by their names
    A WorkerFault where a member has none through no fault of the item: with that member the others
    might have been enough. MembersLate where one was late, else QuorumNotMet.
    """
    for failure in failures.values():
        if isinstance(failure, WorkerFault):
            return failure
    reasons = "; ".join(str(failure) for failure in failures.values())
    message = f"{answered} of {members} members answered, {needed} are needed: {reasons}"
    late = any(isinstance(failure, MemberLate) for failure in failures.values())
    return (MembersLate if late else QuorumNotMet)(message, failures.keys())
