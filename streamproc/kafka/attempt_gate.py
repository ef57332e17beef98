"""Which records may be started now, as the attempt ledger has it. No I/O, no clock, no tasks.

Without suspects a record is started as it arrives. While there are some, each topic-partition runs
its own in groups, and only once the group stands in the ledger; those in a group that a process has
died in are run one at a time, with nothing else under way in the whole process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Generic, TypeVar

from streamproc.kafka.attempts import ALONE_DEATHS, MAX_GIVEN_UP, QUANTUM, Mark
from streamproc.messages.record import TopicPartition

GROUP: Final = 64

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Start(Generic[Item]):
    """deaths: times that the process died of it; 0: it is to be run, else to be given up on"""

    item: Item
    deaths: int = 0


@dataclass(slots=True)
class _Lane(Generic[Item]):
    """One topic-partition.

    mark:   as it is to be stored; None: not known yet
    stored: as it is stored; None: by an earlier owner
    next:   offset behind the last suspect that was started
    touched: a record has come in this assignment
    quick:  records are started as they arrive
    """

    mark: Mark | None = None
    committed: int | None = None
    stored: Mark | None = None
    next: int = 0
    open: bool = True
    touched: bool = False
    quick: bool = False
    waiting: deque[tuple[int, Item]] = field(default_factory=deque)
    running: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)

    @property
    def singles(self) -> bool:
        """Whether there are records to be run alone, or one is."""
        if self.mark is None:
            return False
        return self.mark.single > self.next or (self.mark.alone and bool(self.running))

    def settle(self) -> None:
        """Let suspicion go that has been passed."""
        if self.running or self.mark is None or not self.mark.end:
            return
        ahead = self.waiting[0][0] if self.waiting else self.next
        if self.mark.single and ahead >= self.mark.single:
            self.mark = replace(self.mark, single=0, suspect=None, alone_deaths=0)
        if ahead >= self.mark.end:
            self.mark = Mark(running=True, given_up=self.mark.given_up)
            self.take(ahead)

    def take(self, offset: int) -> None:
        """A record was taken while there were no suspects."""
        if self.mark is not None and offset >= self.mark.taken:
            self.mark = replace(self.mark, taken=(offset // QUANTUM + 1) * QUANTUM)

    @property
    def is_stored(self) -> bool:
        return self.mark is not None and self.stored == self.mark

    @property
    def claims_alone(self) -> bool:
        """The ledger says of what has been finished that it is alone: were the process to die, it
        would be blamed for what others do."""
        return self.stored is not None and self.stored.alone and not self.is_stored


class AttemptGate(Generic[Item]):
    """The records of one assignment that have arrived and are not finished."""

    def __init__(self) -> None:
        self._lanes: dict[TopicPartition, _Lane[Item]] = {}
        self._exclusive = False
        self._lapsed = False

    def assign(self, topic_partitions: Iterable[TopicPartition]) -> list[Item]:
        """Begin anew; nothing is started before `load`. Returns what waited and is dropped."""
        dropped = self.stop(self._lanes)
        self._lanes = {tp: _Lane() for tp in topic_partitions}
        self._exclusive = self._lapsed = False
        return dropped

    def load(self, found: Mapping[TopicPartition, tuple[int | None, Mark]]) -> None:
        """What is committed, and the marks to begin with."""
        for tp, (committed, mark) in found.items():
            lane = self._lanes.get(tp)
            if lane is not None:
                lane.committed, lane.next = committed, committed or 0
                lane.mark = replace(mark, running=True)
                if not mark.end:
                    lane.take(committed or 0)

    def arrive(self, tp: TopicPartition, offset: int, item: Item) -> bool:
        """A record came; whether it may be started at once, else it waits for `startable`."""
        lane = self._lanes[tp]
        lane.touched = True
        if self._exclusive or not lane.quick or lane.mark is None:
            lane.waiting.append((offset, item))
            return False
        lane.running.add(offset)
        lane.take(offset)
        return True

    def bound(self, tp: TopicPartition, end_of: Callable[[TopicPartition], int | None]) -> None:
        """Let those be that were not written yet when the ledger was read.

        end_of: where the log ended then or later; None: not known
        """
        mark = self._lanes[tp].mark
        if mark is None or not mark.end:
            return
        end = end_of(tp)
        if end is not None and end < mark.end:
            self._lanes[tp].mark = replace(mark, end=max(end, mark.single))

    def startable(self) -> list[Start[Item]]:
        """What is to be started now; to be asked again whenever something has changed."""
        for lane in self._lanes.values():
            lane.settle()
        self._exclusive = self.is_exclusive or self._claimed
        if self.is_exclusive:
            return self._next_alone()
        if self._claimed:
            return []
        return [start for lane in self._lanes.values() for start in self._next_of(lane)]

    @property
    def is_waited_at(self) -> bool:
        """Something waits: until then there is no need to ask what is startable."""
        return any(lane.waiting for lane in self._lanes.values()) or self._claimed

    @property
    def wants_commit(self) -> bool:
        """Something waits for its mark to be stored."""
        return self._claimed or any(
            lane.waiting and not lane.running and lane.mark is not None and not lane.is_stored
            for lane in self._lanes.values()
        )

    @property
    def _claimed(self) -> bool:
        return any(lane.claims_alone for lane in self._lanes.values())

    @property
    def is_exclusive(self) -> bool:
        """Records are run one at a time in the whole process."""
        return not self._lapsed and any(lane.singles for lane in self._lanes.values())

    def lapse(self) -> None:
        """Wait no longer for the one that runs alone, or that does not come at all."""
        self._lapsed = True
        for lane in self._lanes.values():
            if lane.mark is not None and lane.mark.alone:
                lane.mark = replace(lane.mark, alone=False)

    def finished(self, tp: TopicPartition, offset: int) -> None:
        """A record that was started has left what it had to, or was given up on."""
        lane = self._lanes.get(tp)
        if lane is None or lane.mark is None or offset not in lane.running:
            return
        lane.running.discard(offset)
        given_up = lane.mark.given_up + 1 if offset in lane.refused else 0
        lane.refused.discard(offset)
        if given_up != lane.mark.given_up:
            lane.mark = replace(lane.mark, given_up=given_up)
        if lane.mark.group and not lane.running:
            lane.mark = replace(lane.mark, group=None, alone=False)

    def stop(self, topic_partitions: Iterable[TopicPartition]) -> list[Item]:
        """Start nothing of these any more; returns what waited."""
        dropped = []
        for tp in topic_partitions:
            lane = self._lanes.get(tp)
            if lane is not None:
                lane.open = lane.quick = False
                dropped += [item for _, item in lane.waiting]
                lane.waiting.clear()
        return dropped

    def leave(self, topic_partitions: Iterable[TopicPartition]) -> None:
        """These are left in order: no death is to be counted."""
        for tp in topic_partitions:
            lane = self._lanes.get(tp)
            if lane is not None and lane.mark is not None:
                lane.mark = replace(lane.mark, running=False)
                # What a dead predecessor left is not to be counted by everybody after us.
                lane.touched = lane.touched or lane.mark.deaths > 0

    def forget(self, topic_partitions: Iterable[TopicPartition]) -> list[Item]:
        """These are no longer ours; returns what came after `stop`."""
        left = frozenset(topic_partitions)
        dropped = self.stop(left)
        self._lanes = {tp: lane for tp, lane in self._lanes.items() if tp not in left}
        return dropped

    def metadata(self, tp: TopicPartition, *, moved: bool = False) -> str | None:
        """What to commit beside the offset; None: nothing is to be committed yet.

        moved: the low watermark has, as it also does over what is no record
        Before a record has come there is nothing to say, and whether the offset is right that was
        committed is not known: it may be of a topic that has been made anew since.
        """
        lane = self._lanes.get(tp)
        if lane is None or lane.mark is None or not (lane.touched or moved):
            return None
        return lane.mark.encode()

    def committed(self, tp: TopicPartition) -> int | None:
        """The offset that was committed when the assignment began."""
        lane = self._lanes.get(tp)
        return None if lane is None else lane.committed

    def stored(self, tp: TopicPartition, metadata: str) -> None:
        """The broker has it."""
        if tp in self._lanes:
            self._lanes[tp].stored = Mark.decode(metadata)

    def _next_alone(self) -> list[Start[Item]]:
        if any(lane.running for lane in self._lanes.values()):
            return []
        lanes = (lane for lane in self._lanes.values() if lane.open)
        able = [lane for lane in lanes if lane.singles and lane.waiting]
        # The ledger must not say of two that they are alone: who was chosen stays so.
        chosen = [lane for lane in able if lane.mark is not None and lane.mark.alone]
        if not able:
            return []
        lane = (chosen or able)[0]
        if any(other.claims_alone for other in self._lanes.values() if other is not lane):
            return []
        return self._next_group(lane, 1, alone=True)

    def _next_of(self, lane: _Lane[Item]) -> list[Start[Item]]:
        mark = lane.mark
        if mark is None or not lane.open:
            return []
        if mark.end:
            ready = lane.waiting and not lane.running
            return self._next_group(lane, GROUP, alone=False) if ready else []
        if lane.stored is None or lane.stored.end:
            return []
        lane.quick = True
        return self._start(lane, len(lane.waiting))

    def _next_group(self, lane: _Lane[Item], size: int, *, alone: bool) -> list[Start[Item]]:
        """The next suspects, once they stand in the ledger."""
        mark = lane.mark or Mark()
        first = lane.waiting[0][0]
        if first < mark.single:
            size = 1
        lethal = mark.suspect == first and mark.alone_deaths >= ALONE_DEATHS
        if lethal and mark.given_up < MAX_GIVEN_UP:
            lane.refused.add(first)
            return [replace(start, deaths=mark.deaths) for start in self._start(lane, 1)]
        if mark.group is None or mark.group[0] != first:
            chosen = [offset for offset, _ in lane.waiting if offset < mark.end][:size]
            group = (first, chosen[-1])
        else:
            group = mark.group
        lane.mark = replace(mark, group=group, alone=alone)
        if not lane.is_stored:
            return []
        return self._start(lane, sum(offset <= group[1] for offset, _ in lane.waiting))

    def _start(self, lane: _Lane[Item], count: int) -> list[Start[Item]]:
        started = []
        for _ in range(count):
            offset, item = lane.waiting.popleft()
            lane.running.add(offset)
            lane.next = max(lane.next, offset + 1)
            if lane.mark is not None and not lane.mark.end:
                lane.take(offset)
            started.append(Start(item))
        return started
