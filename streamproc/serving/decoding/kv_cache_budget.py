"""How many sequences are decoded at once: bounded by rows, and by what their caches may hold."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from streamproc.serving.fair_limiter import FairLimiter


@dataclass(frozen=True, slots=True)
class KVCacheLimits:
    """Of one lane of one ensemble.

    max_rows:   rows stepped together
    max_tokens: tokens their caches may come to hold, over all rows
    """

    max_rows: int = 32
    max_tokens: int = 65_536


class KVCacheBudget(FairLimiter[tuple[int, int]]):
    """Demands are rows and tokens; one that is larger than everything is let in alone."""

    def __init__(self, limits: KVCacheLimits) -> None:
        super().__init__()
        self._limits = limits
        self._rows = 0
        self._tokens = 0

    @property
    def waiting_tokens(self) -> int:
        """Tokens of what waits to come in."""
        return sum(tokens for _, tokens in self.waiting())

    @asynccontextmanager
    async def taken(self, rows: int, tokens: int) -> AsyncIterator[None]:
        """Wait until there is room, and hold it."""
        await self.acquire((rows, tokens))
        try:
            yield
        finally:
            self.release((rows, tokens))

    def _fits(self, demand: tuple[int, int]) -> bool:
        rows, tokens = demand
        return not self._rows or (
            self._rows + rows <= self._limits.max_rows
            and self._tokens + tokens <= self._limits.max_tokens
        )

    def _take(self, demand: tuple[int, int]) -> None:
        rows, tokens = demand
        self._rows += rows
        self._tokens += tokens

    def _give(self, demand: tuple[int, int]) -> None:
        rows, tokens = demand
        self._rows -= rows
        self._tokens -= tokens
