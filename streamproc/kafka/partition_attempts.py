"""The records of one topic-partition that have arrived, and which of them may be started.

Without suspects a record is started as it arrives. While there are some they run in groups, and
only once the group stands in the ledger; those in a group that a process has died in run one at a
time. No I/O, no clock, no tasks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Final, Generic, TypeVar

from streamproc.kafka.attempts import MAX_GIVEN_UP, MOST_ALONE_DEATHS, QUANTUM, Mark

GROUP: Final = 64

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Start(Generic[Item]):
    """deaths: times that the process died of it; 0: it is to be run, else to be given up on"""

    item: Item
    deaths: int = 0


@dataclass(slots=True)
class PartitionAttempts(Generic[Item]):
    """mark: as it is to be stored; None: not known yet
    stored: as it is stored; None: by an earlier owner
    committed: the offset that was committed when the assignment began
    next:   offset behind the last suspect that was started
    open:   records may be started
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

    def load(self, committed: int | None, mark: Mark) -> None:
        """What is committed, and the mark to begin with."""
        self.committed, self.next = committed, committed or 0
        self.mark = replace(mark, running=True)
        if not mark.end:
            self._note_taken(committed or 0)

    def arrive(self, offset: int, item: Item, *, may_start: bool) -> bool:
        """A record came; whether it may be started at once, else it waits."""
        self.touched = True
        if not may_start or not self.quick or self.mark is None:
            self.waiting.append((offset, item))
            return False
        self.running.add(offset)
        self._note_taken(offset)
        return True

    def pass_answered(self, before: int, others: Collection[int]) -> list[Item]:
        """What lies before an offset is answered, and some others; returns what waited of them."""
        waiting, self.waiting = self.waiting, deque[tuple[int, Item]]()
        passed = []
        for at, item in waiting:
            if at < before or at in others:
                passed.append(item)
            else:
                self.waiting.append((at, item))
        return passed

    def bound(self, log_end: int) -> None:
        """Let those be that were not written yet when the ledger was read."""
        if self.mark is not None and log_end < self.mark.end:
            self.mark = replace(self.mark, end=max(log_end, self.mark.single))

    def clear_passed(self) -> None:
        """Let suspicion go that has been passed."""
        if self.running or self.mark is None or not self.mark.end:
            return
        ahead = self.waiting[0][0] if self.waiting else self.next
        if self.mark.single and ahead >= self.mark.single:
            self.mark = replace(self.mark, single=0, suspect=None, alone_deaths=0)
        if ahead >= self.mark.end:
            killed = min(self.mark.killed + self.mark.deaths, MOST_ALONE_DEATHS)
            self.mark = Mark(running=True, given_up=self.mark.given_up, killed=killed)
            self._note_taken(ahead)

    def finished(self, offset: int) -> None:
        """A record that was started has left what it had to, or was given up on."""
        if self.mark is None or offset not in self.running:
            return
        self.running.discard(offset)
        if offset in self.refused:
            # What it ended the process by says nothing of whoever is suspected next.
            self.refused.discard(offset)
            self.mark = replace(self.mark, given_up=self.mark.given_up + 1, deaths=0)
        elif self.mark.given_up:
            self.mark = replace(self.mark, given_up=0)
        if self.mark.group and not self.running:
            self.mark = replace(self.mark, group=None, alone=False)

    def stop(self) -> list[Item]:
        """Start nothing any more; returns what waited."""
        self.open = self.quick = False
        dropped = [item for _, item in self.waiting]
        self.waiting.clear()
        return dropped

    def leave(self) -> None:
        """It is left in order: no death is to be counted."""
        if self.mark is not None:
            self.mark = replace(self.mark, running=False)
            # What a dead predecessor left is not to be counted by everybody after us.
            self.touched = self.touched or self.mark.deaths > 0

    def run_beside_others(self) -> None:
        """What runs here is not alone in the process any more."""
        if self.mark is not None and self.mark.alone:
            self.mark = replace(self.mark, alone=False)

    @property
    def singles(self) -> bool:
        """Whether there are records to be run alone, or one is."""
        if self.mark is None:
            return False
        return self.mark.single > self.next or (self.mark.alone and bool(self.running))

    @property
    def is_stored(self) -> bool:
        """The mark stands in the ledger."""
        return self.mark is not None and self.stored == self.mark

    @property
    def wants_commit(self) -> bool:
        """Something waits for the mark to be stored."""
        waits = bool(self.waiting) and not self.running
        return waits and self.mark is not None and not self.is_stored

    @property
    def claims_alone(self) -> bool:
        """The ledger says of what has been finished that it is alone: were the process to die, it
        would be blamed for what others do."""
        return self.stored is not None and self.stored.alone and not self.is_stored

    def startable(self) -> list[Start[Item]]:
        """What is to be started beside whatever else runs in the process."""
        if self.mark is None or not self.open:
            return []
        if self.mark.end:
            ready = self.waiting and not self.running
            return self.next_group(GROUP, alone=False) if ready else []
        if self.stored is None or self.stored.end:
            return []
        self.quick = True
        return self._start(len(self.waiting))

    def next_group(self, size: int, *, alone: bool) -> list[Start[Item]]:
        """The next suspects, once they stand in the ledger."""
        mark = self.mark or Mark()
        first = self.waiting[0][0]
        if first < mark.single:
            size = 1
        lethal = mark.suspect == first and mark.is_proved
        if lethal and mark.given_up < MAX_GIVEN_UP:
            self.refused.add(first)
            return [replace(start, deaths=mark.deaths) for start in self._start(1)]
        if mark.group is None or mark.group[0] != first:
            chosen = [offset for offset, _ in self.waiting if offset < mark.end][:size]
            group = (first, chosen[-1])
        else:
            group = mark.group
        self.mark = replace(mark, group=group, alone=alone)
        if not self.is_stored:
            return []
        return self._start(sum(offset <= group[1] for offset, _ in self.waiting))

    def _start(self, count: int) -> list[Start[Item]]:
        started = []
        for _ in range(count):
            offset, item = self.waiting.popleft()
            self.running.add(offset)
            self.next = max(self.next, offset + 1)
            if self.mark is not None and not self.mark.end:
                self._note_taken(offset)
            started.append(Start(item))
        return started

    def _note_taken(self, offset: int) -> None:
        """A record was taken while there were no suspects."""
        if self.mark is not None and offset >= self.mark.taken:
            killed = max(0, self.mark.killed - 1) if self.mark.taken else self.mark.killed
            taken = (offset // QUANTUM + 1) * QUANTUM
            self.mark = replace(self.mark, taken=taken, killed=killed)
