"""A bounded amount of something, bytes or tokens, that callers wait for in turn."""

from __future__ import annotations

import asyncio
from collections import deque


class Budget:
    """First come, first served: a large demand is not overtaken for ever by small ones.

    A demand beyond the whole limit is let in alone, so that it is answered and not stuck.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def acquire(self, amount: int) -> None:
        """Wait until there is room for `amount`, and take it."""
        if not self._waiting and self._fits(amount):
            self.used += amount
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((amount, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(amount)
            else:
                self._admit()
            raise

    def release(self, amount: int) -> None:
        """Give `amount` back."""
        self.used -= amount
        self._admit()

    def _fits(self, amount: int) -> bool:
        return self.used == 0 or self.used + amount <= self.limit

    def _admit(self) -> None:
        while self._waiting:
            amount, turn = self._waiting[0]
            if turn.done():
                self._waiting.popleft()
            elif self._fits(amount):
                self._waiting.popleft()
                self.used += amount
                turn.set_result(None)
            else:
                return
