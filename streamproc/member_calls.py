"""A member's calls on model threads, under a time-out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from streamproc.errors import MemberLate

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

    async def make(self, call: Callable[[Any], Value], priority: int) -> Value:
        """What `call` returns, or raises; it is handed what ends it early. Raises MemberLate."""
        if self._late is not None and not self._late.returned:
            raise MemberLate(self._member, "an earlier call has not come back")
        token, flight = self._new_call(), _Flight()

        def run() -> Value:
            try:
                return call(token)
            finally:
                flight.returned = True

        try:
            return await self._run(run, priority, self._timeout_s)
        except TimeoutError:
            self._late = flight
            token.terminate = True
            raise MemberLate(self._member, f"took longer than {self._timeout_s:g} s") from None
