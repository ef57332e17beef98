"""A member's calls on model threads, under a time-out.

What follows where a call hangs: `inference/executor.py` starts another thread in the place of the
one that it holds, `member_health.py` takes the member for down, `ready` says so, and after three
time-outs `worker/run.py` ends the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from streamproc.errors import MemberDown, MemberFailed, MemberLate, OutOfMemory, StreamprocError
from streamproc.serving.member_health import MemberHealth

Value = TypeVar("Value")


class Call(Protocol):
    """What a call is handed, and told by to end early."""

    terminate: bool


class Executor(Protocol):
    """The threads that run models."""

    async def run(self, call: Callable[[], Value], priority: int, timeout_s: float) -> Value:
        """Run a call in a thread, lower priorities first; raises TimeoutError."""
        ...

    def new_call(self) -> Call:
        """For one call of a model."""
        ...


@dataclass(slots=True)
class _Flight:
    """A call on a model's thread; whether it has come back, late or not."""

    began_s: float = 0.0
    returned: bool = False


class GuardedCalls:
    """The calls of one member; one that never came back keeps others from losing threads too.

    health: is told of a call that does not come back
    took: is told how long a call took on its thread, in seconds, whatever came of it
    """

    def __init__(
        self,
        member: str,
        executor: Executor,
        timeout_s: float,
        health: MemberHealth,
        took: Callable[[float], object],
    ) -> None:
        self.member = member
        self._took = took
        self.health = health
        self._executor = executor
        self._timeout_s = timeout_s
        # All of them: one that returns, late, says nothing of those that were out before it.
        self._late: list[_Flight] = []
        # The event loop alone would let go of tasks that nobody waits for.
        self._under_way: set[asyncio.Task[object]] = set()
        health.watch(member, self.out_s)

    def out_s(self) -> float | None:
        """Seconds that the late call has been out that began first; None: none is."""
        self._late = [flight for flight in self._late if not flight.returned]
        if not self._late:
            return None
        return self.health.now_s() - min(flight.began_s for flight in self._late)

    async def make(self, run: Callable[[Call], Value], priority: int) -> Value:
        """What `run` returns, or raises; it is handed what ends it early.

        Cancelling tells it to end. Its time is kept all the same: were a call that hangs forgotten
        with whoever waited for it, its thread would be lost and none would take its place.
        Raises MemberFailed, MemberLate, OutOfMemory; and MemberDown while an earlier call is out:
        that is nothing that this one could be blamed for.
        """
        if self.out_s() is not None:
            raise MemberDown(self.member, "has not returned from an earlier call", hangs=True)
        call = self._executor.new_call()
        timed = asyncio.ensure_future(self._timed(run, call, priority))
        self._under_way.add(timed)
        timed.add_done_callback(self._under_way.discard)
        try:
            return await asyncio.shield(timed)
        except asyncio.CancelledError:
            call.terminate = True
            # What it comes to is nobody's any more, and no warning to print.
            timed.add_done_callback(_take_notice)
            raise

    async def _timed(self, run: Callable[[Call], Value], call: Call, priority: int) -> Value:
        flight = _Flight()

        def in_flight() -> Value:
            try:
                return self._guarded(run, call)
            finally:
                flight.returned = True

        try:
            return await self._executor.run(in_flight, priority, self._timeout_s)
        except TimeoutError:
            flight.began_s = self.health.now_s() - self._timeout_s
            self._late.append(flight)
            call.terminate = True
            raise MemberLate(self.member, f"took longer than {self._timeout_s:g} s") from None

    def _guarded(self, run: Callable[[Call], Value], call: Call) -> Value:
        if call.terminate:
            raise MemberFailed(self.member, "its request was cancelled")
        began_s = self.health.now_s()
        try:
            return run(call)
        except MemoryError as error:
            raise OutOfMemory(f"member {self.member}: {error}") from None
        except StreamprocError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug met by one input is not its neighbours'
            # Not the message: it may quote what a user sent.
            raise MemberFailed(self.member, f"{type(error).__name__} in its call") from None
        finally:
            self._took(self.health.now_s() - began_s)


def _take_notice(task: asyncio.Task[object]) -> None:
    if not task.cancelled():
        task.exception()
