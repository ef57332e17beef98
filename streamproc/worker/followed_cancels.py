"""The topic of cancels and a worker: read at the start, then followed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from streamproc.clock import Clock
from streamproc.kafka.background import beside
from streamproc.kafka.cancels import CancelFeed
from streamproc.metrics import Metrics
from streamproc.serving.cancellation import Cancels
from streamproc.settings import Settings

FIRST_READ_S: Final = 5.0
"""The longest that the first request waits for what was taken back before the start."""


class FollowedCancels:
    """The requests that nobody waits for any more; without a topic that says so, none.

    known: those that were taken back
    """

    def __init__(
        self, settings: Settings, topic: str | None, clock: Clock, metrics: Metrics
    ) -> None:
        self.known = Cancels(clock)
        metrics.known_cancels.set_function(lambda: len(self.known))
        self._feed: CancelFeed | None = None
        if topic is not None:
            self._feed = CancelFeed(settings, topic, clock, self.known.take)

    async def are_known(self) -> None:
        """Wait until those from before the start are, if that does not take long."""
        if self._feed is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(FIRST_READ_S):
                    await self._feed.caught_up.wait()

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """End, within the block, what is taken back."""
        async with beside(*(() if self._feed is None else (self._feed.follow(),))):
            yield
