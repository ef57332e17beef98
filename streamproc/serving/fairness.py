"""Taking turns on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from streamproc.messages.lane import Lane


class FairTurns:
    """Work of a millisecond that a thousand bulk requests have to do at once, one at a time.

    All that is ready runs before the event loop looks for news: without turns, an interactive
    request that comes while a backlog is taken in waits for all of it.
    """

    def __init__(self) -> None:
        self._bulk = asyncio.Lock()

    @asynccontextmanager
    async def yield_to_interactive(self, lane: Lane) -> AsyncIterator[None]:
        """Interactive: at once. Bulk: after a turn of the loop, and one at a time."""
        if lane is Lane.INTERACTIVE:
            yield
            return
        async with self._bulk:
            await asyncio.sleep(0)
            yield
