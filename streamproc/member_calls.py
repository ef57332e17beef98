"""A member's calls on model threads, under a time-out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from streamproc.errors import MemberFailed, MemberLate, OutOfMemory

Value = TypeVar("Value")


class Run(Protocol):
    """Runs a call in a model's thread, lower priorities first; raises TimeoutError."""

    def __call__(
        self, call: Callable[[], Value], priority: int, timeout_s: float, /
    ) -> Awaitable[Value]: ...


@dataclass(slots=True)
class _Flight:
    """A call on a model's thread; whether it has come back, late or not."""

    returned: bool = False


class MemberCalls:
    """The calls of one member; one that never came back keeps others from losing threads too."""

    def __init__(
        self, member: str, run: Run, timeout_s: float, new_call: Callable[[], Any]
    ) -> None:
        """new_call: makes what a call is ended early by, through its `terminate`"""
        self._member = member
        self._run = run
        self._timeout_s = timeout_s
        self._new_call = new_call
        self._late: _Flight | None = None
        # The event loop alone would let go of tasks that nobody waits for.
        self._under_way: set[asyncio.Task[Any]] = set()

    async def make(self, call: Callable[[Any], Value], priority: int) -> Value:
        """What `call` returns, or raises; it is handed what ends it early.

        Cancelling tells it to end. Its time is kept all the same: were a call that hangs forgotten
        with whoever waited for it, its thread would be lost and none would take its place.
        Raises MemberLate, and OutOfMemory.
        """
        if self._late is not None and not self._late.returned:
            raise MemberLate(self._member, "an earlier call has not come back")
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
                if token.terminate:
                    raise MemberFailed(self._member, "nobody waits for its answer any more")
                return call(token)
            except MemoryError as error:
                raise OutOfMemory(f"member {self._member}: {error}") from None
            finally:
                flight.returned = True

        try:
            return await self._run(run, priority, self._timeout_s)
        except TimeoutError:
            self._late = flight
            token.terminate = True
            raise MemberLate(self._member, f"took longer than {self._timeout_s:g} s") from None
