"""Time that moves when a test says so."""

from __future__ import annotations

import asyncio


class ManualClock:
    """A clock that stands still until it is moved; sleeping moves it at once.

    now_ms: milliseconds since the epoch at the start; the default is `build_record`'s timestamp
    """

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self._now_ms = float(now_ms)

    def now_ms(self) -> int:
        return int(self._now_ms)

    def monotonic_s(self) -> float:
        return self._now_ms / 1000

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Move the clock on."""
        self._now_ms += seconds * 1000
