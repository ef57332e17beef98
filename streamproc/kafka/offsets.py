"""Which offsets may be committed: the low watermark of every assigned topic-partition. No I/O."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from streamproc.messages.record import TopicPartition


class Delivery(NamedTuple):
    """One delivery of one record; what `finish` is told."""

    topic_partition: TopicPartition
    offset: int
    generation: int


@dataclass(slots=True)
class _Assignment:
    generation: int
    unfinished: deque[int] = field(default_factory=deque)  # in order of arrival; may hold finished
    finished: set[int] = field(default_factory=set)  # not yet passed; some are yet to arrive
    last_delivered: int = -1
    low_watermark: int | None = None
    begun_at: int = 0

    def pass_finished(self) -> None:
        """Move the low watermark past what is finished."""
        while self.unfinished and self.unfinished[0] in self.finished:
            passed = self.unfinished.popleft()
            self.finished.discard(passed)
            self.low_watermark = passed + 1


class OffsetTracker:
    """The requests in hand, by topic-partition, in order of arrival.

    A record delivered again after a reassignment is a new delivery, and a delivery of an earlier
    assignment changes nothing: its topic-partition may be another worker's by now.
    """

    def __init__(self) -> None:
        self._assigned: dict[TopicPartition, _Assignment] = {}

    def assign(self, topic_partitions: Iterable[TopicPartition], generation: int) -> None:
        """What is assigned from now on, all of it; said again for a generation, nothing changes."""
        kept = self._assigned
        self._assigned = {
            tp: kept[tp]
            if tp in kept and kept[tp].generation == generation
            else _Assignment(generation)
            for tp in topic_partitions
        }

    def begin_at(self, tp: TopicPartition, offset: int, finished: Iterable[int] = ()) -> None:
        """What lies before an offset is answered, and what was finished above it is.

        It is not delivered, nor waited for.
        """
        assignment = self._assigned.get(tp)
        if assignment is not None:
            assignment.begun_at = offset
            while assignment.unfinished and assignment.unfinished[0] < offset:
                assignment.unfinished.popleft()
            assignment.finished.update(finished)
            assignment.pass_finished()

    def revoke(self, topic_partitions: Iterable[TopicPartition]) -> None:
        """Forget topic-partitions that are no longer ours."""
        for tp in topic_partitions:
            self._assigned.pop(tp, None)

    def deliver(self, tp: TopicPartition, offset: int, generation: int) -> Delivery | None:
        """A delivery for a record that arrived; None: not ours, in hand already, or passed.

        Offsets have gaps: compaction and transactions leave some out. They come in rising order;
        one that comes late takes its place in that order, and holds the low watermark back.
        """
        assignment = self._assigned.get(tp)
        if assignment is None or assignment.generation != generation:
            return None
        if offset < assignment.begun_at:
            return None
        if offset > assignment.last_delivered:
            assignment.last_delivered = offset
            assignment.unfinished.append(offset)
        elif offset < (assignment.low_watermark or 0) or offset in assignment.unfinished:
            return None
        else:
            assignment.unfinished.insert(bisect_left(assignment.unfinished, offset), offset)
        if offset in assignment.finished:
            assignment.pass_finished()
            return None
        return Delivery(tp, offset, generation)

    def is_behind(self, tp: TopicPartition, offset: int) -> bool:
        """Whether a record has neither been delivered nor passed, nor any behind it."""
        assignment = self._assigned.get(tp)
        if assignment is None:
            return False
        return offset > assignment.last_delivered and offset >= assignment.begun_at

    def finish(self, delivery: Delivery) -> bool:
        """The record's response is stored; False: the delivery is stale, or was finished before."""
        assignment = self._assigned.get(delivery.topic_partition)
        if assignment is None or assignment.generation != delivery.generation:
            return False
        passed_at = max(assignment.low_watermark or 0, assignment.begun_at)
        if delivery.offset in assignment.finished or delivery.offset < passed_at:
            return False
        assignment.finished.add(delivery.offset)
        assignment.pass_finished()
        return True

    def finished_above(self, tp: TopicPartition, offset: int) -> list[int]:
        """What is finished from an offset on, in order: behind something that is not."""
        assignment = self._assigned.get(tp)
        if assignment is None or not assignment.finished:
            return []
        return sorted(at for at in assignment.finished if at >= offset)

    def pass_over(self, tp: TopicPartition, last_handed: int, position: int) -> None:
        """Move the low watermark to a position that has nothing to be finished before it.

        What follows the last record may be the end of a transaction, or records of an aborted one:
        never delivered, and counted as lag until an offset behind them is committed.
        last_handed: the last record before `position` that is on its way here; -1: none is
        """
        assignment = self._assigned.get(tp)
        if assignment is None or assignment.unfinished:
            return
        low_watermark = max(assignment.low_watermark or 0, assignment.begun_at)
        if last_handed < low_watermark < position:
            assignment.low_watermark = position

    def committable(self) -> dict[TopicPartition, int]:
        """The low watermark, where it has moved since the assignment: the next offset to read."""
        return {
            tp: assignment.low_watermark
            for tp, assignment in self._assigned.items()
            if assignment.low_watermark is not None
        }

    def oldest_unfinished(self, tp: TopicPartition) -> int | None:
        """The offset that holds the low watermark back; None: nothing does."""
        assignment = self._assigned.get(tp)
        return assignment.unfinished[0] if assignment and assignment.unfinished else None

    def low_watermark(self, tp: TopicPartition) -> int | None:
        """The offset behind the last finished; None: nothing was, in this assignment."""
        assignment = self._assigned.get(tp)
        return assignment.low_watermark if assignment else None

    def assigned(self) -> frozenset[TopicPartition]:
        """The topic-partitions that are ours."""
        return frozenset(self._assigned)
