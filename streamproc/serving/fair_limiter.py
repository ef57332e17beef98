"""Waiting in turn for a share of something bounded."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

Demand = TypeVar("Demand")


class FairLimiter(ABC, Generic[Demand]):
    """First come, first served: a large demand is not overtaken for ever by small ones."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Demand, asyncio.Future[None]]] = deque()

    async def acquire(self, demand: Demand) -> None:
        """Wait until there is room, and take it."""
        if not self._waiting and self._fits(demand):
            self._take(demand)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((demand, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(demand)
            else:
                self._admit()
            raise

    def release(self, demand: Demand) -> None:
        """Give it back."""
        self._give(demand)
        self._admit()

    def waiting(self) -> Iterator[Demand]:
        """What waits to come in."""
        return (demand for demand, turn in self._waiting if not turn.done())

    @abstractmethod
    def _fits(self, demand: Demand) -> bool:
        """Whether there is room now."""

    @abstractmethod
    def _take(self, demand: Demand) -> None:
        """Count it in."""

    @abstractmethod
    def _give(self, demand: Demand) -> None:
        """Count it out."""

    def _admit(self) -> None:
        while self._waiting:
            demand, turn = self._waiting[0]
            if turn.done():
                self._waiting.popleft()
            elif self._fits(demand):
                self._waiting.popleft()
                self._take(demand)
                turn.set_result(None)
            else:
                return
