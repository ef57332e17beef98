"""What the worker asks of Faust's consumer: pause, resume, commit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import faust
from faust.types import TP

from streamproc.kafka.background import own_cancellation_only
from streamproc.kafka.commits import Position
from streamproc.kafka.consumer_state import ConsumerState, ReadingProgress
from streamproc.kafka.private_api import commit
from streamproc.messages.record import TopicPartition


class ConsumerControl:
    """Faust's consumer in our own words."""

    def __init__(self, app: faust.App, state: ConsumerState) -> None:
        self._app = app
        self._state = state

    @property
    def generation(self) -> int:
        """The number of the group's assignment that is in force."""
        return int(self._app.consumer_generation_id)

    def assignment(self) -> frozenset[TopicPartition]:
        """The topic-partitions assigned to this worker."""
        return frozenset(map(ours, self._app.consumer.assignment()))

    def progress(self) -> Mapping[TopicPartition, ReadingProgress]:
        """How far topic-partitions have been read."""
        return self._state.progress

    async def begin_anew(self) -> None:
        """Join the group again, and go on at what is committed."""
        await self._app.consumer.begin_anew()

    @property
    def is_joining(self) -> bool:
        """Whether another assignment is to follow the one that is in force."""
        return bool(self._app.consumer.is_joining)

    @property
    def is_reading(self) -> bool:
        """False from the end of one assignment until the next one has begun."""
        return bool(self._app.consumer.flow_active)

    def stay(self) -> None:
        """Stay in the group while there is nothing to read; to be called again and again."""
        self._app.consumer.stay()

    def pause(self, topic_partitions: Iterable[TopicPartition]) -> None:
        """Fetch no more from these; what has been fetched already still arrives.

        Not `consumer.pause_partitions`: in the middle of a batch Faust then drops the rest of
        it, and goes on behind it after the resume. Its own answer to a full buffer drops nothing.
        """
        for tp in topic_partitions:
            self._app.consumer.on_buffer_full(theirs(tp))

    def resume(self, topic_partitions: Iterable[TopicPartition]) -> None:
        """Fetch from these again."""
        for tp in topic_partitions:
            self._app.consumer.on_buffer_drop(theirs(tp))

    def end_of(self, tp: TopicPartition) -> int | None:
        """Where the log ended when it was last fetched; None: it was not yet."""
        try:
            found = self._app.consumer.highwater(theirs(tp))
        except AssertionError:  # aiokafka's way to say that it is not assigned any more
            return None
        return None if found is None else int(found)

    def log_id(self, topic: str) -> str | None:
        """The id of the log that is read of a topic; None: it is not known."""
        return self._state.topic_ids.get(topic)

    async def commit(
        self, positions: Mapping[TopicPartition, Position]
    ) -> Mapping[TopicPartition, Position]:
        """Store positions for the group: all, or none as it has moved on or the consumer failed."""
        stored = False
        # A thread of the consumer's that ends by a crash, which is told as such, takes this along.
        with own_cancellation_only():
            stored = await commit(self._app, {theirs(tp): at for tp, at in positions.items()})
        return positions if stored else {}


def ours(tp: TP) -> TopicPartition:
    """Faust's topic-partition as ours."""
    return TopicPartition(tp.topic, tp.partition)


def theirs(tp: TopicPartition) -> TP:
    """Our topic-partition as Faust's."""
    return TP(tp.topic, tp.topic_partition)
