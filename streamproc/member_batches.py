"""A member's batches: what fails in them is told apart here, and the item at fault found.

A batch that a member fails on is halved until the item that it fails on is alone. A member that
fails even on the canary, an item known to be good, is itself at fault: that is the worker's
trouble, not the request's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, Literal, TypeVar

from streamproc.errors import MemberError, MemberFailed, MemberLate, OutOfMemory, WorkerFault
from streamproc.member_calls import MemberCalls

Item = TypeVar("Item")
Result = TypeVar("Result")

Lost = MemberError | WorkerFault
"""Why a member has no result for an item."""

HowLost = Literal["late", "failed"]


def how_lost(lost: Lost) -> HowLost:
    """As responses and metrics put it."""
    return "late" if isinstance(lost, MemberLate) else "failed"


class MemberBatches(Generic[Item, Result]):
    """One kind of batch that a member runs."""

    def __init__(
        self,
        calls: MemberCalls,
        call: Callable[[Sequence[Item], Any], Sequence[Result]],
        *,
        size: Callable[[Sequence[Item]], int],
        canary: Callable[[Any], object],
        lost: Callable[[Lost], None],
    ) -> None:
        """call: one result an item; it and the canary are handed what ends them early

        size: what a batch costs in memory, in any unit
        lost: told of each item without a result
        """
        self._calls = calls
        self._call = call
        self._size = size
        self._canary = canary
        self._lost = lost
        self._max_size: int | None = None

    async def run(self, items: Sequence[Item], priority: int) -> list[Result | Lost]:
        """For each item its result, or why there is none.

        That is a WorkerFault for all of them where the member can't run at all, and OutOfMemory for
        one that there is no memory for even alone.
        """
        results: list[Result | Lost]
        try:
            results = await self._halving(items, priority)
        except WorkerFault as fault:
            results = [fault] * len(items)
        for result in results:
            if isinstance(result, Lost):
                _let_go(result)
                self._lost(result)
        return results

    async def _halving(self, items: Sequence[Item], priority: int) -> list[Result | Lost]:
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

    async def _halves(self, items: Sequence[Item], priority: int) -> list[Result | Lost]:
        middle = len(items) // 2
        first = await self._halving(items[:middle], priority)
        return first + await self._halving(items[middle:], priority)

    async def _try_canary(self, failure: MemberFailed, priority: int) -> None:
        try:
            await self._calls.make(self._canary, priority)
        except MemberError:
            raise WorkerFault(
                f"member {failure.member} fails on everything: {failure.reason}"
            ) from None


def _let_go(lost: Lost) -> None:
    """Drop what leads from an error to the calls it came of, and so to all that they held.

    A sequence may remember for a long time why it lost a member; not that member's whole batch.
    """
    lost.__traceback__ = lost.__context__ = lost.__cause__ = None
