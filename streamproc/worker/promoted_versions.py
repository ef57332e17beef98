"""The topic of models and a worker: read to its end at the start, then followed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import structlog

from streamproc.clock import Clock
from streamproc.errors import KafkaRefused, OperatorError
from streamproc.kafka.background import beside
from streamproc.kafka.group_table import GroupFeed
from streamproc.kafka.model_choices import choice_feed, read_choices
from streamproc.messages.model_choice import ModelChoice
from streamproc.settings import Settings
from streamproc.worker.model_versions import ModelVersions

FIRST_READ_S: Final = 10.0
"""For reading what is promoted before models are loaded; after that it is read beside it, and no
request is taken before."""

log = structlog.get_logger(__name__)


class PromotedVersions:
    """Has a worker serve what is promoted; without a topic of models, what the folder says."""

    def __init__(
        self, settings: Settings, topic: str | None, versions: ModelVersions, clock: Clock
    ) -> None:
        self._settings = settings
        self._topic = topic
        self._versions = versions
        self._clock = clock
        self._feed: GroupFeed[ModelChoice] | None = None
        if topic is not None:
            self._feed = choice_feed(settings, topic, clock, versions.tell)

    async def at_the_start(self) -> Mapping[str, ModelChoice]:
        """What is promoted, by ensemble; nothing where Kafka does not say it in time.

        Raises KafkaRefused.
        """
        if self._topic is None:
            return {}
        try:
            async with asyncio.timeout(FIRST_READ_S):
                return await read_choices(self._settings, self._topic)
        except TimeoutError:
            reason = f"no broker has answered in {FIRST_READ_S:g} s"
        except KafkaRefused:
            raise  # before models are loaded, which takes a while
        except OperatorError as error:
            reason = str(error)
        log.info("promoted versions are not known yet", topic=self._topic, reason=reason)
        return {}

    async def are_served(self) -> None:
        """Wait until what was promoted before the start is served, or refused."""
        if self._feed is not None:
            await self._feed.caught_up.wait()
            if self._feed.has_told:
                await self._versions.settled.wait()

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """Have what is promoted within the block served."""
        feed = self._feed
        try:
            async with beside(*(() if feed is None else (self._versions.keep(), feed.follow()))):
                yield
        finally:
            await self._versions.close()
