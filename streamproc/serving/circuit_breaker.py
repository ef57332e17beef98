"""A member that is at fault is left out, and tried on its canary until it is well again.

Were it called on, each batch would wait for its failure: for one that answers too late, as long as
a call may take. Who is at fault is decided as ever (decision 20); failures alone are not counted,
or a sender's hundred bad texts in a row would leave out a member that is well.

Source: Nygard 2007, "Release It!", chapter 5.3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, repeat
from typing import Final

from streamproc.errors import MemberDown

LATE_IN_A_ROW: Final = 3
"""Batches that may be late, one after another, before a member is left out."""

FAILED_IN_A_ROW: Final = 6
"""The same for batches that failed before the member has ever given a result."""

WAITS_S: Final = 0.0, 1.0, 2.0, 4.0, 8.0, 15.0
"""Until the next trial, as one after another fails; then the last one again and again."""


class CircuitBreaker:
    """Whether one kind of call of one member is made; pure bookkeeping, it makes none itself."""

    def __init__(self, member: str, now_s: Callable[[], float]) -> None:
        """now_s: of a clock that never goes back"""
        self._member = member
        self._now_s = now_s
        self._late = 0
        self._failed = 0
        self._waits = _waits_s()
        self._try_at_s = 0.0
        self._is_trying = False
        self.left_out: MemberDown | None = None
        """What its calls come to without being made; None: they are made."""

    def passed(self) -> None:
        """A batch of requests had a result."""
        self._late = self._failed = 0
        self._waits = _waits_s()
        self.left_out = None

    def was_late(self) -> None:
        """A batch took too long, and none of it had a result."""
        self._late += 1
        if self._late >= LATE_IN_A_ROW:
            self.open(f"was late {LATE_IN_A_ROW} times in a row", late=True)

    def failed(self) -> None:
        """A batch failed, of a member that has never given a result."""
        self._failed += 1
        if self._failed >= FAILED_IN_A_ROW:
            self.open("has failed on every request")

    def open(self, reason: str, *, late: bool = False) -> None:
        """Leave the member out from now on."""
        if self.left_out is None:
            self.left_out = MemberDown(self._member, f"is left out: it {reason}", hangs=late)
            self._wait()

    def begin_trial(self) -> bool:
        """Whether it is time to call the member on its canary; whoever is told so does."""
        if self.left_out is None or self._is_trying or self._now_s() < self._try_at_s:
            return False
        self._is_trying = True
        return True

    def trial_failed(self) -> None:
        """Its canary had no result either: the next trial is later."""
        self._is_trying = False
        self._wait()

    def trial_passed(self) -> None:
        """Call the member again; one batch that is late or fails leaves it out, for longer."""
        self.left_out = None
        self._is_trying = False
        self._late = LATE_IN_A_ROW - 1
        self._failed = FAILED_IN_A_ROW - 1

    def _wait(self) -> None:
        self._try_at_s = self._now_s() + next(self._waits)


def _waits_s() -> Iterator[float]:
    return chain(WAITS_S, repeat(WAITS_S[-1]))
