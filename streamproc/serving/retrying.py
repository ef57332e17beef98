"""Whether a request that could not be answered is tried again, or told so."""

from __future__ import annotations

from typing import Final

from streamproc.errors import MembersLate, QuorumNotMet, WorkerFault
from streamproc.serving.member_health import MemberHealth

LATE_TRIES: Final = 3
"""Times that a request's own calls may be late before that is told to it."""


class Tries:
    """One request's tries on one ensemble."""

    def __init__(self, health: MemberHealth, recoveries: int) -> None:
        """recoveries: the health's, when the first try began"""
        self._health = health
        self._recoveries = recoveries
        self._late = 0

    def begin(self) -> None:
        """The next try begins."""
        self._recoveries = self._health.recoveries

    @property
    def alone(self) -> bool:
        """Whether its next try is to run beside no other: a neighbour may have made it late."""
        return self._late > 0

    def is_worth_another(self, reason: BaseException) -> bool:
        """What a try failed by; asked once a try."""
        if isinstance(reason, WorkerFault):
            return True
        if isinstance(reason, MembersLate):
            self._late += 1
            if self._late < LATE_TRIES:
                return True
        if not isinstance(reason, QuorumNotMet):
            return False
        # Failed by a member that was at fault when the try began, and is not any more.
        return self._recoveries != self._health.recoveries or self._health.blames_worker(
            reason.missing
        )
