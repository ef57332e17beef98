"""Faust's consumer, made to go on where it, or aiokafka below it, would stop or wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import suppress
from functools import partial
from inspect import iscoroutine
from typing import Any, Final

import faust
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from streamproc.kafka.consumer_state import ConsumerState
from streamproc.kafka.consumer_thread import LaneThread
from streamproc.kafka.private_api import FaustConsumer
from streamproc.kafka.progress import HandedOut
from streamproc.kafka.started_coroutine import rest_of

# A topic-partition that is resumed waits for the poll that goes on without it.
POLL_TIMEOUT_S: Final = 0.05
IDLE_POLL_TIMEOUT_S: Final = 0.5


def adapt_consumer(
    app: faust.App,
    state: ConsumerState,
    interactive_topics: Collection[str] = (),
    topics_from_end: Collection[str] = (),
) -> None:
    """Make an app that has not started yet consume as it is done here.

    - Without Faust's long waits: aiokafka has one fetch under way per broker, and a
      topic-partition that it does not cover waits until it returns, in Faust after 1.5 s without
      news. Polls are short while some are held back, and long where none is.
    - Committed records only, and every one of them, readable or not.
    - In the group again and again, when it refuses: `state` has the reason.
    - From the beginning of a log that is not the one the committed offset is of.

    interactive_topics: whose records a poll takes first. aiokafka hands records out in the order
        in which their topic-partitions were fetched, so that an interactive one waits until all
        that was fetched of a bulk backlog has been handed out.
    topics_from_end: of which a group that has never committed anything skips what is there
    """
    app.transport.Consumer = partial(
        LaneConsumer,
        state=state,
        interactive_topics=frozenset(interactive_topics),
        topics_from_end=frozenset(topics_from_end),
    )


class PolledRecords(ConsumerMessage):  # type: ignore[misc]
    """What a poll has brought of one topic-partition, as one message with the last one's offset.

    records: aiokafka's, in order; one at least
    after: the offset of the last one before them in this assignment; -1: they are the first
    """

    def __init__(self, topic_partition: TP, records: HandedOut) -> None:
        last = records[-1]
        super().__init__(
            *(last.topic, last.partition, last.offset, 0.0, last.timestamp_type),
            *(None, None, None, None),
            tp=topic_partition,
            generation_id=records.generation,
        )
        self.records = records
        self.after = records.after


class LaneConsumer(FaustConsumer):
    """Hands records on as soon as they are there, by the lanes that their topics are in."""

    def __init__(
        self,
        *arguments: Any,
        state: ConsumerState,
        interactive_topics: frozenset[str],
        topics_from_end: frozenset[str],
        **options: Any,
    ) -> None:
        self._state = state
        self._topics = interactive_topics, topics_from_end
        self._resumed = asyncio.Event()
        super().__init__(*arguments, **options)

    def make_thread(self) -> LaneThread:
        self._reading = LaneThread(
            self, self._state, *self._topics, loop=self.loop, beacon=self.beacon
        )
        return self._reading

    async def begin_anew(self) -> None:
        """Join the group again, and go on at what is committed."""
        await self._reading.begin_anew()

    @property
    def is_joining(self) -> bool:
        """Whether another assignment is to follow the one that is in force."""
        return self._reading.is_joining

    def stay(self) -> None:
        """Keep the group from taking one that has nothing to poll for one that hangs.

        Without topic-partitions, with all of them held back, or while an assignment begins, nothing
        is polled. aiokafka leaves the group after `max_poll_interval_ms` without a poll, and joins
        it again with the next one, which would never be.
        """
        if self.holds_all_back or not self.flow_active:
            self._reading.note_poll()

    def on_buffer_drop(self, tp: TP) -> None:
        super().on_buffer_drop(tp)
        self._resumed.set()

    async def poll(self, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's
        if self.holds_all_back:
            # Faust would sleep for a second, however soon there is room again.
            self._resumed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._resumed.wait(), min(timeout, POLL_TIMEOUT_S))
            return {}, set()
        most_s = POLL_TIMEOUT_S if self.holds_back else IDLE_POLL_TIMEOUT_S
        return await super().poll(min(timeout, most_s))

    async def getmany(
        self,
        timeout: float,  # noqa: ASYNC109 - Faust's
    ) -> AsyncIterator[tuple[TP, PolledRecords]]:
        """Faust's, with one message for all that a poll has brought of a topic-partition.

        Its way to an agent, and the agent's next turn, cost more than a record's own.
        """
        polled, active = await self.poll(timeout)
        if polled is None or self.should_stop:
            return
        for topic_partition, records in polled.items():
            if not self.flow_active:
                # It flows again after a seek to where these are from.
                return
            is_current = self.app.consumer_generation_id == records.generation
            if is_current and self.takes(topic_partition, active):
                yield topic_partition, PolledRecords(topic_partition, records)

    async def wait_first(self, *waited_for: Any, timeout: Any = None) -> Any:  # noqa: ASYNC109
        """Faust's, which hands every record on in it, beside a wait for the flow to be suspended.

        Handing on hardly ever waits, so it is begun in place: four tasks and an `asyncio.wait` for
        each record were 40 of the 75 microseconds that Faust takes for one.
        """
        first, *others = waited_for
        if not iscoroutine(first) or not all(map(iscoroutine, others)):
            return await super().wait_first(*waited_for, timeout=timeout)
        try:
            waiting_for = first.send(None)
        except StopIteration:
            for other in others:
                other.close()
            return None
        return await super().wait_first(rest_of(first, waiting_for), *others, timeout=timeout)
