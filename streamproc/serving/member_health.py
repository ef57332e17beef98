"""How the members of one ensemble do: whose fault it is when a request can't be answered.

A request that a member fails on is its sender's to mend, and is told so. A member that fails on one
request after another, or does not come back from a call, is the worker's trouble: its requests are
tried again, the worker is not ready, and nobody's requests become dead letters for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Final

from streamproc.clock import Clock

BURST: Final = 5
"""Requests that a member may fail on, one after another, before it is taken to be at fault."""

WINDOW: Final = 64
"""Results, good or bad, over which the share of failures is looked at; and at most half may be."""

NEVER: Final[Callable[[], float | None]] = lambda: None  # noqa: E731


@dataclass(slots=True)
class _Member:
    """in_a_row: requests failed since a result; down: why it answers nobody, and since when"""

    out_s: Callable[[], float | None] = NEVER
    in_a_row: int = 0
    recent: deque[bool] = field(default_factory=lambda: deque(maxlen=WINDOW))
    down: str | None = None
    since_s: float = 0.0

    @property
    def fails_too_often(self) -> bool:
        full = len(self.recent) == WINDOW
        return self.in_a_row > BURST or (full and sum(self.recent) * 2 < WINDOW)


class MemberHealth:
    """The record of one ensemble's members, kept by whoever calls them; nothing here calls them."""

    def __init__(self, ensemble: str, members: Sequence[str], needed: int, clock: Clock) -> None:
        """needed: members without which there is no answer"""
        self.ensemble = ensemble
        self._clock = clock
        self._spare = len(members) - max(1, needed)
        self._members = {name: _Member() for name in members}
        # What runs before all members, if anything does.
        self._before_all: dict[str, _Member] = {}
        self.recoveries = 0
        """Times that a member at fault gave a result again; what failed meanwhile may now pass."""

    def now_s(self) -> float:
        """Seconds on the clock that all of it goes by."""
        return self._clock.monotonic_s()

    def watch(self, member: str, out_s: Callable[[], float | None]) -> None:
        """Where to look up for how many seconds a call that ought to have ended has been out."""
        self._named(member).out_s = out_s

    def passed(self, member: str, results: int = 1) -> None:
        """A member gave results for so many inputs of requests."""
        found = self._named(member)
        if found.down is not None or found.in_a_row > BURST:
            self.recoveries += 1
        found.recent.extend(repeat(True, min(results, WINDOW)))
        found.in_a_row = 0
        found.down = None

    def down(self, member: str, reason: str) -> None:
        """A member can't run at all."""
        found = self._named(member)
        if found.down is None:
            found.since_s = self.now_s()
        found.down = reason

    def blames_worker(self, members: Collection[str]) -> bool:
        """Count a request that these members failed on; whether they are at fault, and not it."""
        at_fault = False
        for name in members:
            found = self._named(name)
            if not found.in_a_row:
                found.since_s = self.now_s()
            found.in_a_row += 1
            found.recent.append(False)
            at_fault = at_fault or found.fails_too_often
        return at_fault

    def troubles(self) -> list[str]:
        """What keeps the ensemble from answering, a clause each; none while its quorum is met."""
        found = self._told(self._members)
        before = self._told(self._before_all)
        return [*before, *found] if before or len(found) > self._spare else []

    def spared(self) -> list[str]:
        """What is amiss with members that the others suffice without, a clause each."""
        return [] if self.troubles() else self._told(self._members)

    def hung(self) -> tuple[str, float] | None:
        """The member whose call has been out longest, and for how many seconds."""
        everyone = {**self._before_all, **self._members}
        out = {name: s for name, member in everyone.items() if (s := member.out_s()) is not None}
        return max(out.items(), key=lambda one: one[1]) if out else None

    def _told(self, members: Mapping[str, _Member]) -> list[str]:
        return [
            f"member {name} of ensemble {self.ensemble} {what}"
            for name, member in members.items()
            if (what := self._ill(member))
        ]

    def _named(self, member: str) -> _Member:
        known = self._members.get(member)
        return known or self._before_all.setdefault(member, _Member())

    def _ill(self, member: _Member) -> str | None:
        out_s = member.out_s()
        if out_s is not None:
            return f"has not returned from a call for {out_s:.0f} s"
        for_s = self.now_s() - member.since_s
        if member.down is not None:
            return f"has given no result for {for_s:.0f} s ({member.down})"
        if member.in_a_row > BURST:
            return f"has failed on every request for {for_s:.0f} s"
        if member.fails_too_often:
            failed = WINDOW - sum(member.recent)
            return f"has failed on {failed} of the last {WINDOW} inputs"
        return None
