"""One member's batches: run on a model thread, and bisected until what it fails on is alone.

A member that fails even on the canary, an item known to be good, is itself at fault: that is the
worker's trouble, not the request's. The best canary is what a request brought, and the member had
a result for; until there is one, an item of our own making has to do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

from streamproc.errors import (
    MemberDown,
    MemberError,
    MemberFailed,
    MemberLate,
    OutOfMemory,
    WorkerFault,
)
from streamproc.serving.guarded_calls import Call, GuardedCalls
from streamproc.serving.member_failures import FailureCounter, MemberFailure
from streamproc.tracing.tracer import EnsembleTracer

Item = TypeVar("Item")
Result = TypeVar("Result")


class MemberRunner(ABC, Generic[Item, Result]):
    """Runs one kind of batch on one member; what the kind is, a subclass says.

    calls: the member's, which all its kinds of batches share
    failures: counts each item without a result
    canary_is_proven: a request brought it, and the member had a result for it
    """

    canary_is_proven = False

    def __init__(
        self,
        calls: GuardedCalls,
        failures: FailureCounter,
        traces: EnsembleTracer,
    ) -> None:
        self.member = calls.member
        self._traces = traces
        self._calls = calls
        self._failures = failures
        self._max_size: int | None = None

    @abstractmethod
    def call(self, items: Sequence[Item], call: Call) -> Sequence[Result]:
        """Run the model, on a model thread: one result an item.

        Raises MemberFailed, OutOfMemory.
        """

    @abstractmethod
    def call_canary(self, call: Call) -> None:
        """Run the model on an item known to be good; raises the same."""

    @abstractmethod
    def size(self, items: Sequence[Item]) -> int:
        """What a batch costs in memory, in any unit."""

    async def run(self, items: Sequence[Item], priority: int) -> list[Result | MemberFailure]:
        """For each item its result, or why there is none.

        That is MemberDown for all of them where the member can't run at all, and OutOfMemory for
        one that there is no memory for even alone.
        """
        with self._traces.member(self.member, len(items)) as span:
            results = await self._run(items, priority)
            failures = [result for result in results if isinstance(result, MemberFailure)]
            if failures:
                span.failed(len(failures), type(failures[0]).__name__)
        for failure in failures:
            _forget_calls(failure)
            self._failures.count(failure)
        self._tell_health(len(items) - len(failures), failures)
        return results

    async def _run(self, items: Sequence[Item], priority: int) -> list[Result | MemberFailure]:
        try:
            return await self._bisect(items, priority)
        except WorkerFault as fault:
            return [fault] * len(items)

    async def _bisect(self, items: Sequence[Item], priority: int) -> list[Result | MemberFailure]:
        if len(items) > 1 and self._max_size is not None and self.size(items) > self._max_size:
            return await self._halves(items, priority)
        try:
            return [*await self._calls.make(lambda call: self.call(items, call), priority)]
        except MemberLate as late:
            return [late] * len(items)
        except (MemberFailed, OutOfMemory) as failure:
            if len(items) > 1:
                if isinstance(failure, OutOfMemory):
                    self._max_size = self.size(items) // 2
                return await self._halves(items, priority)
            if isinstance(failure, MemberFailed):
                await self._try_canary(failure, priority)
            return [failure]

    async def _halves(self, items: Sequence[Item], priority: int) -> list[Result | MemberFailure]:
        middle = len(items) // 2
        first = await self._bisect(items[:middle], priority)
        return first + await self._bisect(items[middle:], priority)

    async def _try_canary(self, failure: MemberFailed, priority: int) -> None:
        try:
            await self._calls.make(self.call_canary, priority)
        except MemberError:
            raise MemberDown(failure.member, f"fails on everything: {failure.reason}") from None
        if self.canary_is_proven:
            self._calls.health.passed(self.member)

    def _tell_health(self, answered: int, failures: Sequence[MemberFailure]) -> None:
        if answered:
            self._calls.health.passed(self.member, answered)
            return
        down = next((found for found in failures if isinstance(found, WorkerFault)), None)
        if down is not None and not (isinstance(down, MemberDown) and down.hangs):
            self._calls.health.down(self.member, str(down))


def _forget_calls(failure: MemberFailure) -> None:
    """Drop what leads from an error to the calls it came of, and so to all that they held.

    A sequence may remember for a long time why it lost a member; not that member's whole batch.
    """
    failure.__traceback__ = failure.__context__ = failure.__cause__ = None
