"""Counting the chunks that members have no result for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import get_args

from streamproc.metrics import Metrics
from streamproc.serving.bisection import HowLost, MemberFailure, failure_of


def counting_losses(
    metrics: Metrics, ensemble: str, members: Sequence[str]
) -> Callable[[str, MemberFailure], None]:
    """What is called with a member and why it has no result for a chunk.

    Every member's counts are there from the start, so that a rate has something to start from.
    """
    counters = {
        (member, how): metrics.member_failures.labels(ensemble, member, how)
        for member in members
        for how in get_args(HowLost)
    }

    def count(member: str, lost: MemberFailure) -> None:
        counters[member, failure_of(lost)].inc()

    return count
