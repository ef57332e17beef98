"""The feed of a server, which outlasts a broker that is away, with a quarter of an hour's rates."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

import structlog

from streamproc.clock import Clock
from streamproc.settings import Settings
from streamproc.status.feed import StatusFeed
from streamproc.status.history import STEP_S, History
from streamproc.status.overview import overview

TRY_AGAIN_S: Final = 5.0

_log = structlog.get_logger(__name__)


class LiveStatus:
    """An asynchronous context manager that connects by itself, and again when it must."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._history = History()
        self._feed: StatusFeed | None = None
        self._trouble = "not connected to Kafka yet"
        self._task: asyncio.Task[None] | None = None
        self._ending = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._keep())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def picture(self) -> dict[str, object]:
        """The overview of this moment as orjson takes it, with `rates` by source and lane."""
        if self._feed is None:
            now_ms, group = self._clock.now_ms(), self._settings.group_id
            found = overview(group, (), (), {}, now_ms, notes=(self._trouble,))
        else:
            found = self._feed.overview()
        return found.as_json() | {"rates": self._history.rates(), "rate_step_s": STEP_S}

    def end_streams(self) -> None:
        """Tell all who follow that there will be no more, so that a server can end in time."""
        self._ending.set()

    async def next_turn(self, within_s: float) -> bool:
        """Wait for so long; whether there is more to come then."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ending.wait(), within_s)
        return not self._ending.is_set()

    async def _keep(self) -> None:
        while True:
            try:
                async with StatusFeed(self._settings, self._clock) as feed:
                    self._feed = feed
                    while True:
                        self._history.take(feed.overview())
                        await self._clock.sleep(STEP_S)
            except Exception as error:  # noqa: BLE001 - Kafka's client may raise anything
                self._trouble = str(error) or type(error).__name__
                _log.warning("status is not to be had", reason=self._trouble)
            finally:
                self._feed = None
            await self._clock.sleep(TRY_AGAIN_S)
