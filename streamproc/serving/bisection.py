"""A member's batches: what fails in them is told apart here, and the item at fault found.

A batch that a member fails on is halved until the item that it fails on is alone. A member that
fails even on the canary, an item known to be good, is itself at fault: that is the worker's
trouble, not the request's. The best canary is what a request brought, and the member had a result
for; until there is one, an item of our own making has to do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Literal, TypeVar

from streamproc.errors import (
    MemberDown,
    MemberError,
    MemberFailed,
    MemberLate,
    MembersLate,
    OutOfMemory,
    QuorumNotMet,
    WorkerFault,
)
from streamproc.serving.guarded_calls import GuardedCalls
from streamproc.serving.member_health import MemberHealth

Item = TypeVar("Item")
Result = TypeVar("Result")

MemberFailure = MemberError | WorkerFault
"""Why a member has no result for an item."""

HowLost = Literal["late", "failed"]


def failure_of(lost: MemberFailure) -> HowLost:
    """As responses and metrics put it."""
    hangs = isinstance(lost, MemberDown) and lost.hangs
    return "late" if hangs or isinstance(lost, MemberLate) else "failed"


class Canary(Generic[Item]):
    """An item known to be good; proven: a request brought it, and the member had a result for it"""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.proven = False

    def passed(self, item: Item) -> None:
        """A request's item that there was a result for just now."""
        self.item, self.proven = item, True


def shortage(
    answered: int, members: int, needed: int, lost: Mapping[str, MemberFailure]
) -> Exception:
    """What too few answers for one item come to, whoever is at fault.

    lost: why members have no result, by their names
    A WorkerFault where a member has none through no fault of the item: with that member the others
    might have been enough. MembersLate where one was late, else QuorumNotMet.
    """
    for reason in lost.values():
        if isinstance(reason, WorkerFault):
            return reason
    reasons = "; ".join(str(reason) for reason in lost.values())
    said = f"{answered} of {members} members answered, {needed} are needed: {reasons}"
    late = any(isinstance(reason, MemberLate) for reason in lost.values())
    return (MembersLate if late else QuorumNotMet)(said, lost.keys())


class BisectingRunner(Generic[Item, Result]):
    """One kind of batch that a member runs."""

    def __init__(
        self,
        calls: GuardedCalls,
        call: Callable[[Sequence[Item], Any], Sequence[Result]],
        *,
        size: Callable[[Sequence[Item]], int],
        canary: Canary[Any],
        try_canary: Callable[[Any], object],
        lost: Callable[[MemberFailure], None],
        health: MemberHealth,
    ) -> None:
        """call, try_canary: one result an item; both are handed what ends them early

        size: what a batch costs in memory, in any unit
        lost: told of each item without a result
        health: told how the member does, by the name that its calls have
        """
        self._calls = calls
        self._call = call
        self._size = size
        self._canary = canary
        self._run_canary = try_canary
        self._lost = lost
        self._health = health
        self._max_size: int | None = None

    async def run(self, items: Sequence[Item], priority: int) -> list[Result | MemberFailure]:
        """For each item its result, or why there is none.

        That is MemberDown for all of them where the member can't run at all, and OutOfMemory for
        one that there is no memory for even alone.
        """
        results: list[Result | MemberFailure]
        try:
            results = await self._halving(items, priority)
        except WorkerFault as fault:
            results = [fault] * len(items)
        for result in results:
            if isinstance(result, MemberFailure):
                _let_go(result)
                self._lost(result)
        self._tell(results)
        return results

    def _tell(self, results: Sequence[Result | MemberFailure]) -> None:
        lost = [result for result in results if isinstance(result, MemberFailure)]
        if len(lost) < len(results):
            self._health.passed(self._calls.member, len(results) - len(lost))
            return
        down = next((found for found in lost if isinstance(found, WorkerFault)), None)
        if down is not None and not (isinstance(down, MemberDown) and down.hangs):
            self._health.down(self._calls.member, str(down))

    async def _halving(self, items: Sequence[Item], priority: int) -> list[Result | MemberFailure]:
        if len(items) > 1 and self._max_size is not None and self._size(items) > self._max_size:
            return await self._halves(items, priority)
        try:
            return [*await self._calls.make(lambda call: self._call(items, call), priority)]
        except MemberLate as late:
            return [late] * len(items)
        except (MemberFailed, OutOfMemory) as failure:
            if len(items) > 1:
                if isinstance(failure, OutOfMemory):
                    self._max_size = self._size(items) // 2
                return await self._halves(items, priority)
            if isinstance(failure, MemberFailed):
                await self._try_canary(failure, priority)
            return [failure]

    async def _halves(self, items: Sequence[Item], priority: int) -> list[Result | MemberFailure]:
        middle = len(items) // 2
        first = await self._halving(items[:middle], priority)
        return first + await self._halving(items[middle:], priority)

    async def _try_canary(self, failure: MemberFailed, priority: int) -> None:
        try:
            await self._calls.make(self._run_canary, priority)
        except MemberError:
            raise MemberDown(failure.member, f"fails on everything: {failure.reason}") from None
        if self._canary.proven:
            self._health.passed(self._calls.member)


def _let_go(lost: MemberFailure) -> None:
    """Drop what leads from an error to the calls it came of, and so to all that they held.

    A sequence may remember for a long time why it lost a member; not that member's whole batch.
    """
    lost.__traceback__ = lost.__context__ = lost.__cause__ = None
