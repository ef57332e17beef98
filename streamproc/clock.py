"""The only place that reads the clock: all else is handed a `Clock`, and tests hand in theirs."""

from __future__ import annotations

import asyncio
import time
from typing import Generic, Protocol, TypeVar

from streamproc.frozen import frozen

Result = TypeVar("Result")


class Clock(Protocol):
    """Wall time, monotonic time and waiting."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch, comparable with the timestamps of records."""
        ...

    def monotonic_s(self) -> float:
        """Seconds on a clock that never goes back; only differences mean something."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let others run for this long."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@frozen()
class Timed(Generic[Result]):
    """A result, with the milliseconds that what it came of waited for a model, and that it took."""

    result: Result
    queue_ms: float
    run_ms: float
