"""Waiting chunks, and which of them make the next batch. No I/O, no clock, no tasks."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from sortedcontainers import SortedKeyList

Item = TypeVar("Item")


@dataclass(slots=True, eq=False)
class Entry(Generic[Item]):
    """An item that waits; `tokens` is its length, `sequence` its turn."""

    item: Item
    tokens: int
    sequence: int
    gone: bool = field(default=False)


class TokenQueue(Generic[Item]):
    """Batches whose padded cost stays within a budget, of items of nearly one length.

    The oldest item is in the next batch, whatever its length, so none waits for ever; the others
    are those nearest to it in length. A batch of n items costs n times its longest item: what a
    model computes once all are padded. Source of the idea: sorting a pool by length before
    cutting it into batches of a number of tokens, as machine translation trainers do.
    """

    def __init__(self) -> None:
        self._by_length: SortedKeyList = SortedKeyList(
            key=lambda entry: (entry.tokens, entry.sequence)
        )
        self._by_age: deque[Entry[Item]] = deque()
        self._sequence = 0
        self.tokens = 0

    def __len__(self) -> int:
        return len(self._by_length)

    def put(self, item: Item, tokens: int) -> Entry[Item]:
        """Add an item; the entry is what `discard` takes."""
        entry = Entry(item, tokens, self._sequence)
        self._sequence += 1
        self._by_length.add(entry)
        self._by_age.append(entry)
        self.tokens += tokens
        return entry

    def discard(self, entry: Entry[Item]) -> None:
        """Take an item out that nobody waits for any more; nothing happens if it is gone."""
        if not entry.gone:
            self._by_length.remove(entry)
            self._remove(entry)

    def oldest(self) -> Entry[Item] | None:
        """The entry that waits longest."""
        while self._by_age and self._by_age[0].gone:
            self._by_age.popleft()
        return self._by_age[0] if self._by_age else None

    def take(self, budget_tokens: int) -> list[Item]:
        """The next batch, shortest item first; empty when nothing waits.

        An item longer than the budget makes a batch of its own.
        """
        anchor = self.oldest()
        if anchor is None:
            return []
        first, last = self._span(self._by_length.index(anchor), budget_tokens)
        taken = list(self._by_length[first : last + 1])
        del self._by_length[first : last + 1]
        for entry in taken:
            self._remove(entry)
        return [entry.item for entry in taken]

    def _span(self, anchor: int, budget_tokens: int) -> tuple[int, int]:
        """Indices of the first and last entry of the batch around `anchor`, both included."""
        by_length = self._by_length
        first = last = anchor
        while True:
            longest = by_length[last].tokens
            count = last - first + 1
            # Going down pads the newcomer up to the longest; going up pads everybody in the batch.
            down = longest - by_length[first - 1].tokens if first else None
            up = None
            if last + 1 < len(by_length):
                up = (by_length[last + 1].tokens - longest) * count
            if up is not None and (by_length[last + 1].tokens) * (count + 1) > budget_tokens:
                up = None
            if down is not None and longest * (count + 1) > budget_tokens:
                down = None
            if down is None and up is None:
                return first, last
            if up is None or (down is not None and down < up):
                first -= 1
            else:
                last += 1

    def _remove(self, entry: Entry[Item]) -> None:
        entry.gone = True
        self.tokens -= entry.tokens

    def __iter__(self) -> Iterator[Item]:
        return (entry.item for entry in self._by_length)
