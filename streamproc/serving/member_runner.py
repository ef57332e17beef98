"""One member's batches: run on a model thread, and bisected until what it fails on is alone.

A member that fails even on the canary, an item known to be good, is itself at fault: that is the
worker's trouble, not the request's, and it is left out until it is well. The best canary is what a
request brought, and the member had a result for; until there is one, an item of our own making has
to do.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

import structlog

from streamproc.errors import (
    MemberDown,
    MemberError,
    MemberFailed,
    MemberLate,
    OutOfMemory,
    WorkerFault,
)
from streamproc.serving.batch_limit import BatchLimit
from streamproc.serving.circuit_breaker import CircuitBreaker
from streamproc.serving.guarded_calls import Call, GuardedCalls
from streamproc.serving.member_failures import FailureCounter, MemberFailure
from streamproc.tracing.tracer import EnsembleTracer

_log = structlog.get_logger(__name__)

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
        self._breaker = CircuitBreaker(calls.member, calls.health.now_s)
        self._trial: asyncio.Task[None] | None = None
        self._limit = BatchLimit(calls.member)

    @abstractmethod
    def call(self, items: Sequence[Item], call: Call) -> Sequence[Result]:
        """Run the model, on a model thread: one result an item.

        Raises MemberFailed, OutOfMemory.
        """

    @abstractmethod
    def call_canary(self, call: Call) -> None:
        """Run the model on an item known to be good; raises the same."""

    def is_canary(self, item: Item) -> bool:
        """Whether an item is no request's but the canary of our own making."""
        return False

    @abstractmethod
    def size(self, items: Sequence[Item]) -> int:
        """What a batch costs in memory, in any unit."""

    async def run(self, items: Sequence[Item], priority: int) -> list[Result | MemberFailure]:
        """For each item its result, or why there is none.

        That is MemberDown for all of them where the member can't run at all, and OutOfMemory for
        one that there is no memory for even alone.
        """
        with self._traces.member(self.member, len(items)) as span:
            left_out = await self._left_out(priority)
            if left_out is None:
                results = await self._run(items, priority)
            else:
                results = [left_out] * len(items)
            failures = [result for result in results if isinstance(result, MemberFailure)]
            if failures:
                span.failed(len(failures), type(failures[0]).__name__)
        for failure in failures:
            _forget_calls(failure)
            self._failures.count(failure)
        # That a member is well on a canary of ours says nothing of what it does with requests.
        answered = sum(
            not isinstance(result, MemberFailure) and not self.is_canary(item)
            for item, result in zip(items, results, strict=True)
        )
        if left_out is None and (answered or failures):
            self._judge(answered, failures)
        return results

    async def _left_out(self, priority: int) -> MemberDown | None:
        """Why the member is not called; where it is time for a trial, that is begun."""
        left_out = self._breaker.left_out
        if left_out is not None and self._breaker.begin_trial():
            self._trial = asyncio.create_task(self._try_again(priority))
            # A failure is quick to come; what is late is what nobody is to wait for any more.
            if not left_out.hangs:
                await asyncio.shield(self._trial)
        return self._breaker.left_out

    async def _run(self, items: Sequence[Item], priority: int) -> list[Result | MemberFailure]:
        try:
            return await self._bisect(items, priority)
        except WorkerFault as fault:
            return [fault] * len(items)

    async def _bisect(self, items: Sequence[Item], priority: int) -> list[Result | MemberFailure]:
        size = self.size(items) if self._limit.is_set else 0
        if len(items) > 1 and not self._limit.allows(size):
            return await self._halves(items, priority)
        try:
            results: list[Result | MemberFailure] = [
                *await self._calls.make(lambda call: self.call(items, call), priority)
            ]
        except MemberLate as late:
            return [late] * len(items)
        except (MemberFailed, OutOfMemory) as failure:
            if len(items) > 1:
                if isinstance(failure, OutOfMemory):
                    self._limit.no_memory(self.size(items))
                return await self._halves(items, priority)
            if isinstance(failure, MemberFailed):
                await self._try_canary(failure, priority)
            return [failure]
        self._limit.passed(size)
        return results

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

    def _judge(self, answered: int, failures: Sequence[MemberFailure]) -> None:
        """What a batch says of the member, which may be left out for it."""
        was_out = self._breaker.left_out is not None
        down = next((found for found in failures if isinstance(found, WorkerFault)), None)
        if answered:
            self._calls.health.passed(self.member, answered)
            self._breaker.passed()
        elif isinstance(down, MemberDown):
            # While a call is out none is made anyway, and the health sees it by itself.
            if not down.hangs:
                self._calls.health.down(self.member, str(down))
                self._breaker.open("fails on everything")
        elif down is not None:
            self._calls.health.down(self.member, str(down))
        elif any(isinstance(failure, MemberLate) for failure in failures):
            self._breaker.was_late()
        elif not self.canary_is_proven:
            self._breaker.failed()
        self._tell_change(was_out)

    async def _try_again(self, priority: int) -> None:
        """Call a member that is left out on its canary, and take it back where it has a result."""
        try:
            await self._calls.make(self.call_canary, priority)
        except (MemberError, WorkerFault):
            self._breaker.trial_failed()
            return
        was_out = self._breaker.left_out is not None
        self._breaker.trial_passed()
        self._tell_change(was_out)
        if self.canary_is_proven:
            self._calls.health.passed(self.member)

    def _tell_change(self, was_out: bool) -> None:
        failure = self._breaker.left_out
        if was_out == (failure is not None):
            return
        self._failures.left_out(not was_out)
        if failure is not None:
            if failure.hangs:
                self._calls.health.down(self.member, str(failure))
            _log.error("member left out", reason=str(failure))
        else:
            _log.info("member taken back", member=self.member)


def _forget_calls(failure: MemberFailure) -> None:
    """Drop what leads from an error to the calls it came of, and so to all that they held.

    A sequence may remember for a long time why it lost a member; not that member's whole batch.
    """
    failure.__traceback__ = failure.__context__ = failure.__cause__ = None
