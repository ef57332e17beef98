"""A bounded amount of something, bytes or tokens, that callers wait for in turn."""

from __future__ import annotations

from streamproc.serving.fair_limiter import FairLimiter


class Budget(FairLimiter[int]):
    """A demand beyond the whole limit is let in alone, so that it is answered and not stuck."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit
        self.used = 0

    def _fits(self, demand: int) -> bool:
        return self.used == 0 or self.used + demand <= self.limit

    def _take(self, demand: int) -> None:
        self.used += demand

    def _give(self, demand: int) -> None:
        self.used -= demand
