"""The position of an assignment that begins: all of its committed offsets, in one step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition

from streamproc.kafka.private_api import assignment_of

Committed = Mapping[TopicPartition, int | None]


def put_back(consumer: Any, fetched: Mapping[Any, Sequence[Any]]) -> None:
    """Have records fetched again that were taken from the fetcher a moment ago, in its loop."""
    assigned = consumer.assignment()
    for tp, batch in fetched.items():
        if tp in assigned:
            consumer.seek(tp, batch[0].offset)


class SeekToCommitted:
    """Seeks for an aiokafka consumer, in its loop, and is told what was fetched from it.

    Faust lets go of what it has fetched until it has sought. aiokafka's own method seeks to no
    offset of 0 and nowhere without an offset, so that records let go of there were never read; and
    it waits between one topic-partition and the next, where records can be fetched, or the group
    be joined again.
    """

    def __init__(self) -> None:
        self._assignment: Any = None
        self._first_fetched: dict[TopicPartition, int] = {}

    def note(self, consumer: Any, fetched: Mapping[Any, Sequence[Any]]) -> None:
        """After records were taken from the fetcher, before anything else can be taken."""
        self._follow(consumer)
        for tp, batch in fetched.items():
            self._first_fetched.setdefault(tp, batch[0].offset)

    async def seek(self, consumer: Any, begun: Callable[[Committed], None]) -> Committed:
        """Seek to what is committed; without it, to the first record of this assignment.

        begun: called with the committed offsets before anything can be fetched; not called when
            the group was joined again meanwhile: the next assignment seeks by itself
        Raises KafkaError.
        """
        assignment = assignment_of(consumer)
        committed = {tp: await consumer.committed(tp) for tp in consumer.assignment()}
        if assignment is None or assignment_of(consumer) is not assignment:
            return committed
        self._follow(consumer)
        for tp, offset in committed.items():
            position = self._first_fetched.get(tp) if offset is None else offset
            if position is not None:
                consumer.seek(tp, position)
        begun(committed)
        return committed

    def _follow(self, consumer: Any) -> None:
        assignment = assignment_of(consumer)
        if assignment is not self._assignment:
            self._assignment = assignment
            self._first_fetched = {}
