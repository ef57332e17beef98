"""A member's calls on model threads, under a time-out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from streamproc.errors import MemberDown, MemberFailed, MemberLate, OutOfMemory, StreamprocError
from streamproc.serving.member_health import MemberHealth

Value = TypeVar("Value")


class Run(Protocol):
    """Runs a call in a model's thread, lower priorities first; raises TimeoutError."""

    def __call__(
        self, call: Callable[[], Value], priority: int, timeout_s: float, /
    ) -> Awaitable[Value]: ...


@dataclass(slots=True)
class _Flight:
    """A call on a model's thread; whether it has come back, late or not."""

    began_s: float = 0.0
    returned: bool = False


class GuardedCalls:
    """The calls of one member; one that never came back keeps others from losing threads too."""

    def __init__(
        self,
        member: str,
        run: Run,
        timeout_s: float,
        new_call: Callable[[], Any],
        health: MemberHealth,
    ) -> None:
        """new_call: makes what a call is ended early by, through its `terminate`

        health: is told of a call that does not come back
        """
        self.member = member
        self._run = run
        self._timeout_s = timeout_s
        self._new_call = new_call
        self._late: _Flight | None = None
        # The event loop alone would let go of tasks that nobody waits for.
        self._under_way: set[asyncio.Task[Any]] = set()
        self._health = health
        health.watch(member, self.out_s)

    def out_s(self) -> float | None:
        """Seconds that a late call has been out; None: none is."""
        late = self._late
        if late is None or late.returned:
            return None
        return self._health.now_s() - late.began_s

    async def make(self, call: Callable[[Any], Value], priority: int) -> Value:
        """What `call` returns, or raises; it is handed what ends it early.

        Cancelling tells it to end. Its time is kept all the same: were a call that hangs forgotten
        with whoever waited for it, its thread would be lost and none would take its place.
        Raises MemberFailed, MemberLate, OutOfMemory; and MemberDown while an earlier call is out:
        that is nothing that this one could be blamed for.
        """
        if self.out_s() is not None:
            raise MemberDown(self.member, "has not come back from an earlier call", hangs=True)
        token = self._new_call()
        timed = asyncio.ensure_future(self._timed(call, token, priority))
        self._under_way.add(timed)
        timed.add_done_callback(self._under_way.discard)
        try:
            return await asyncio.shield(timed)
        except asyncio.CancelledError:
            token.terminate = True
            raise

    async def _timed(self, call: Callable[[Any], Value], token: Any, priority: int) -> Value:
        flight = _Flight()

        def run() -> Value:
            try:
                return self._guarded(call, token)
            finally:
                flight.returned = True

        try:
            return await self._run(run, priority, self._timeout_s)
        except TimeoutError:
            flight.began_s = self._health.now_s() - self._timeout_s
            self._late = flight
            token.terminate = True
            raise MemberLate(self.member, f"took longer than {self._timeout_s:g} s") from None

    def _guarded(self, call: Callable[[Any], Value], token: Any) -> Value:
        if token.terminate:
            raise MemberFailed(self.member, "nobody waits for its answer any more")
        try:
            return call(token)
        except MemoryError as error:
            raise OutOfMemory(f"member {self.member}: {error}") from None
        except StreamprocError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug met by one input is not its neighbours'
            # Not the message: it may quote what a user sent.
            raise MemberFailed(self.member, f"{type(error).__name__} in its call") from None
