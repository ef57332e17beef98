"""A group's picture kept up to date: the topic of states is followed, offsets are looked up."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack, aclosing
from types import TracebackType
from typing import Final, Self

from streamproc.clock import Clock
from streamproc.errors import OperatorError
from streamproc.kafka.background import ended
from streamproc.kafka.lag import LagReader, TopicLag
from streamproc.kafka.topic_follower import follow_topic
from streamproc.kafka.topics import load_topics
from streamproc.messages.worker_state import WorkerState
from streamproc.settings import Settings
from streamproc.status.fleet import Fleet
from streamproc.status.overview import Overview, overview
from streamproc.status.watched import topics_of, watched

LAG_INTERVAL_S: Final = 5.0
TRY_AGAIN_S: Final = 5.0


class StatusFeed:
    """An asynchronous context manager; once entered, `overview` is whole.

    Raises OperatorError on entry when no broker answers, TopicsError when no topics are described.
    Whatever fails later is told in the overview's notes, and tried again.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._sources = watched(settings)
        self._state_topic = load_topics(settings.topics_dir).state_topic()
        self._fleet = Fleet(settings.group_id)
        self._caught_up = asyncio.Event()
        self._lags: Mapping[str, TopicLag] = {}
        self._notes: dict[str, str] = {}
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opening:
            offsets = await opening.enter_async_context(LagReader(self._settings))
            opening.push_async_callback(ended, asyncio.create_task(self._follow_states()))
            await self._caught_up.wait()
            await self._look_up(offsets)
            opening.push_async_callback(ended, asyncio.create_task(self._follow_lags(offsets)))
            self._open = opening.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._open.aclose()

    def overview(self) -> Overview:
        """The picture of this moment."""
        return overview(
            self._settings.group_id,
            self._fleet.workers(),
            self._sources,
            self._lags,
            self._clock.now_ms(),
            self._fleet.other_groups(),
            self._notes.values(),
        )

    def states(self) -> list[WorkerState]:
        """What each worker of the group said last, those that have fallen silent among them."""
        return self._fleet.workers()

    async def _follow_states(self) -> None:
        if self._state_topic is None:
            self._notes["states"] = (
                f"no topic of kind state is described in {self._settings.topics_dir}: copy the "
                "shipped streamproc.state.v1.yaml, its schema and its example there"
            )
            self._caught_up.set()
            return
        while True:
            try:
                await self._read_states(self._state_topic)
            except Exception as error:  # noqa: BLE001 - Kafka's client may raise anything
                self._notes["states"] = f"workers can't be seen: {_reason(error)}"
            self._caught_up.set()
            await self._clock.sleep(TRY_AGAIN_S)

    async def _read_states(self, topic: str) -> None:
        fleet = Fleet(self._settings.group_id)
        async with aclosing(follow_topic(self._settings, topic)) as followed:
            async for records, is_whole in followed:
                for record in records:
                    fleet.take(record)
                if is_whole:
                    self._fleet = fleet
                    self._notes.pop("states", None)
                    self._caught_up.set()

    async def _follow_lags(self, offsets: LagReader) -> None:
        while True:
            await self._clock.sleep(LAG_INTERVAL_S)
            await self._look_up(offsets)

    async def _look_up(self, offsets: LagReader) -> None:
        topics = topics_of(self._sources)
        try:
            lags = await offsets.lags(topics)
            # A worker that serves a topic says for how long its records have been waiting.
            served = {name for row in self.overview().sources if row.workers for name in row.topics}
            waits = {name for name, lag in lags.items() if lag.waiting and name not in served}
            if waits:
                lags |= await offsets.lags({name: topics[name] for name in waits}, waits)
        except Exception as error:  # noqa: BLE001 - as above
            self._notes["offsets"] = f"what waits can't be seen: {_reason(error)}"
            return
        self._lags = lags
        self._notes.pop("offsets", None)
        missing = sorted(name for name, lag in lags.items() if not lag.exists)
        self._notes.pop("topics", None)
        if missing:
            self._notes["topics"] = (
                f"Kafka has no topic {', '.join(missing)}; `streamproc topics apply` creates those "
                "that are described"
            )


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, OperatorError) else f"{type(error).__name__}: {error}"
