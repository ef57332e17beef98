"""Taking turns on the event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from streamproc.messages.lane import Lane

MOST_IN_A_TURN: Final = 16
"""Of a few dozen microseconds each."""


class FairTurns:
    """Work that a thousand bulk requests have to do at once, a few of them in a turn of the loop.

    All that is ready runs before the event loop looks for news: without turns, an interactive
    request that comes while a backlog is taken in waits for all of it.
    """

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._left = MOST_IN_A_TURN
        self._is_scheduled = False

    async def turn(self, lane: Lane) -> None:
        """Returns when it is time for what is done next without waiting; interactive: at once."""
        if lane is Lane.INTERACTIVE:
            return
        loop = asyncio.get_running_loop()
        if not self._is_scheduled:
            self._is_scheduled = True
            loop.call_soon(self._next_turn)
        if self._left:
            self._left -= 1
            return
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _next_turn(self) -> None:
        self._left = MOST_IN_A_TURN
        while self._left and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                self._left -= 1
        self._is_scheduled = bool(self._waiting)
        if self._is_scheduled:
            asyncio.get_running_loop().call_soon(self._next_turn)
