"""How many sequences are decoded at once: bounded by rows, and by what their caches may hold."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RoomLimits:
    """Of one lane of one ensemble.

    max_rows:   rows stepped together
    max_tokens: tokens their caches may come to hold, over all rows
    """

    max_rows: int = 32
    max_tokens: int = 65_536


class Room:
    """First come, first served; one that is larger than everything is let in alone."""

    def __init__(self, limits: RoomLimits) -> None:
        self._limits = limits
        self._rows = 0
        self._tokens = 0
        self._waiting: deque[tuple[int, int, asyncio.Future[None]]] = deque()

    @property
    def waiting_tokens(self) -> int:
        """Tokens of what waits to come in."""
        return sum(tokens for _, tokens, turn in self._waiting if not turn.done())

    @asynccontextmanager
    async def taken(self, rows: int, tokens: int) -> AsyncIterator[None]:
        """Wait until there is room, and hold it."""
        await self._enter(rows, tokens)
        try:
            yield
        finally:
            self._leave(rows, tokens)

    async def _enter(self, rows: int, tokens: int) -> None:
        if not self._waiting and self._fits(rows, tokens):
            self._take(rows, tokens)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((rows, tokens, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave(rows, tokens)
            else:
                self._admit()
            raise

    def _fits(self, rows: int, tokens: int) -> bool:
        return not self._rows or (
            self._rows + rows <= self._limits.max_rows
            and self._tokens + tokens <= self._limits.max_tokens
        )

    def _take(self, rows: int, tokens: int) -> None:
        self._rows += rows
        self._tokens += tokens

    def _leave(self, rows: int, tokens: int) -> None:
        self._rows -= rows
        self._tokens -= tokens
        self._admit()

    def _admit(self) -> None:
        while self._waiting:
            rows, tokens, turn = self._waiting[0]
            if turn.done():
                self._waiting.popleft()
            elif self._fits(rows, tokens):
                self._waiting.popleft()
                self._take(rows, tokens)
                turn.set_result(None)
            else:
                return
