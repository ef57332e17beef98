"""Which records may be started now, as the attempt ledger has it. No I/O, no clock, no tasks.

Each topic-partition says what it may start; what a process has died of is run one at a time with
nothing else under way in the whole process, and that is seen to here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Generic

from streamproc.kafka.attempts import Mark
from streamproc.kafka.partition_attempts import Item, PartitionAttempts, Start
from streamproc.messages.record import TopicPartition


class AttemptGate(Generic[Item]):
    """The records of one assignment that have arrived and are not finished."""

    def __init__(self) -> None:
        self._partitions: dict[TopicPartition, PartitionAttempts[Item]] = {}
        self._exclusive = False
        self._lapsed = False

    def assign(self, topic_partitions: Iterable[TopicPartition]) -> list[Item]:
        """Begin anew; nothing is started before `load`. Returns what waited and is dropped."""
        dropped = self.stop(self._partitions)
        self._partitions = {tp: PartitionAttempts() for tp in topic_partitions}
        self._exclusive = self._lapsed = False
        return dropped

    def load(self, found: Mapping[TopicPartition, tuple[int | None, Mark]]) -> None:
        """What is committed, and the marks to begin with."""
        for tp, (committed, mark) in found.items():
            if tp in self._partitions:
                self._partitions[tp].load(committed, mark)

    def pass_answered(self, tp: TopicPartition, before: int, others: Collection[int]) -> list[Item]:
        """What lies before an offset is answered, and some others; returns what waited of them."""
        if tp not in self._partitions:
            return []
        return self._partitions[tp].pass_answered(before, others)

    def arrive(self, tp: TopicPartition, offset: int, item: Item) -> bool:
        """A record came; whether it may be started at once, else it waits for `startable`."""
        return self._partitions[tp].arrive(offset, item, may_start=not self._exclusive)

    def bound(self, tp: TopicPartition, end_of: Callable[[TopicPartition], int | None]) -> None:
        """Let those be that were not written yet when the ledger was read.

        end_of: where the log ended then or later; None: not known
        """
        partition = self._partitions[tp]
        if partition.mark is not None and partition.mark.end:
            end = end_of(tp)
            if end is not None:
                partition.bound(end)

    def startable(self) -> list[Start[Item]]:
        """What is to be started now; to be asked again whenever something has changed."""
        for partition in self._partitions.values():
            partition.clear_passed()
        self._exclusive = self.is_exclusive or self._is_claimed
        if self.is_exclusive:
            return self._next_alone()
        if self._is_claimed:
            return []
        return [start for one in self._partitions.values() for start in one.startable()]

    @property
    def is_waited_at(self) -> bool:
        """Something waits: until then there is no need to ask what is startable."""
        return any(one.waiting for one in self._partitions.values()) or self._is_claimed

    @property
    def wants_commit(self) -> bool:
        """Something waits for its mark to be stored."""
        return self._is_claimed or any(one.wants_commit for one in self._partitions.values())

    @property
    def is_exclusive(self) -> bool:
        """Records are run one at a time in the whole process.

        Only once one of them is there: while none has been fetched, others are not kept waiting.
        """
        return not self._lapsed and any(
            one.singles and (one.waiting or one.running) for one in self._partitions.values()
        )

    def lapse(self) -> None:
        """Wait no longer for the one that runs alone, or for those that it waits for."""
        self._lapsed = True
        for partition in self._partitions.values():
            partition.run_beside_others()

    def running(self) -> list[str]:
        """The positions of what has been started and is not finished, for a log."""
        return [f"{tp}:{at}" for tp, one in self._partitions.items() for at in sorted(one.running)]

    def waiting(self) -> dict[str, int]:
        """How many records wait, of each topic-partition, for a log."""
        return {str(tp): len(one.waiting) for tp, one in self._partitions.items()}

    def finished(self, tp: TopicPartition, offset: int) -> None:
        """A record that was started has left what it had to, or was given up on."""
        if tp in self._partitions:
            self._partitions[tp].finished(offset)

    def stop(self, topic_partitions: Iterable[TopicPartition]) -> list[Item]:
        """Start nothing of these any more; returns what waited."""
        return [item for one in self._known(topic_partitions) for item in one.stop()]

    def leave(self, topic_partitions: Iterable[TopicPartition]) -> None:
        """These are left in order: no death is to be counted."""
        for partition in self._known(topic_partitions):
            partition.leave()

    def forget(self, topic_partitions: Iterable[TopicPartition]) -> list[Item]:
        """These are no longer ours; returns what came after `stop`."""
        left = frozenset(topic_partitions)
        dropped = self.stop(left)
        self._partitions = {tp: one for tp, one in self._partitions.items() if tp not in left}
        return dropped

    def metadata(self, tp: TopicPartition, *, moved: bool = False) -> str | None:
        """What to commit beside the offset; None: nothing is to be committed yet.

        moved: the low watermark has, as it also does over what is no record
        Before a record has come there is nothing to say, and whether the offset is right that was
        committed is not known: it may be of a topic that has been made anew since.
        """
        partition = self._partitions.get(tp)
        if partition is None or partition.mark is None or not (partition.touched or moved):
            return None
        return partition.mark.encode()

    def committed(self, tp: TopicPartition) -> int | None:
        """The offset that was committed when the assignment began."""
        partition = self._partitions.get(tp)
        return None if partition is None else partition.committed

    def stored(self, tp: TopicPartition, metadata: str) -> None:
        """The broker has it."""
        if tp in self._partitions:
            self._partitions[tp].stored = Mark.decode(metadata)

    @property
    def _is_claimed(self) -> bool:
        return any(one.claims_alone for one in self._partitions.values())

    def _known(self, topic_partitions: Iterable[TopicPartition]) -> list[PartitionAttempts[Item]]:
        return [self._partitions[tp] for tp in topic_partitions if tp in self._partitions]

    def _next_alone(self) -> list[Start[Item]]:
        if any(one.running for one in self._partitions.values()):
            return []
        able = [
            one for one in self._partitions.values() if one.open and one.singles and one.waiting
        ]
        if not able:
            return []
        # The ledger must not say of two that they are alone: who was chosen stays so.
        chosen = [one for one in able if one.mark is not None and one.mark.alone]
        next_one = (chosen or able)[0]
        if any(one.claims_alone for one in self._partitions.values() if one is not next_one):
            return []
        return next_one.next_group(1, alone=True)
