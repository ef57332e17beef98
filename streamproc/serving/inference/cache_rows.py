"""Key-value caches of several sequences, a row each, kept in place while they grow.

A row's keys and values stand at the end of a block of columns, zeros before them; how many columns
there are is a multiple of `BLOCK`. So a token's place, counted in blocks, is the same whatever
stands beside its sequence; and a kernel that works on several columns at once, or adds up in
blocks, adds the same numbers in the same order, and zeros. The multiple was measured:
docs/decisions.

A step copies no cache: it writes a column and lets the block begin a column later. Heads lie behind
each other in memory, so that every head then lacks its first column, a zero of padding, and has at
its end the place where the head behind it had its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from threading import Lock
from weakref import WeakSet

import numpy as np

from streamproc.serving.inference.device_array import DeviceArray
from streamproc.types import AnyArray, FloatType, Int64Array

BLOCK = 32
# How much more room for rows than needed may be kept once a burst is over.
_ROOMY = 4
# Columns that a block may move on by before its rows are laid out anew.
_MOVES = 256


@dataclass(frozen=True, slots=True)
class CacheShape:
    """Of a model's caches: heads and their size, for each layer's keys and its values."""

    heads: tuple[tuple[int, int], ...]
    dtype: FloatType

    @property
    def column_bytes(self) -> int:
        """What a token takes, all layers together."""
        return sum(heads * size for heads, size in self.heads) * int(np.dtype(self.dtype).itemsize)


class KVBlock:
    """Memory for the caches of rows that are stepped together; one step at a time.

    columns: that each row has
    room:    for so many rows
    """

    def __init__(
        self,
        shape: CacheShape,
        room: int,
        columns: int,
        caches: Sequence[AnyArray] | None = None,
    ) -> None:
        """caches: of one row, each (1, heads, columns, size), which can't grow in place"""
        self.shape, self.columns, self.room = shape, columns, room
        self._moved = 0
        self._memory = [
            np.empty((room * heads * columns + _MOVES) * size, shape.dtype)
            for heads, size in (shape.heads if caches is None else ())
        ] or [cache.reshape(-1) for cache in caches or ()]
        # A place is free once nobody holds its row any more: a step that failed is done again.
        self._held: WeakSet[CachedRow] = WeakSet()
        self._busy = Lock()

    def claim(self) -> bool:
        """Whether it is the caller's, alone, until `release`."""
        return self._busy.acquire(blocking=False)

    def release(self) -> None:
        """Let others step what it holds."""
        self._busy.release()

    def caches(self, rows: int, moved: int | None = None) -> list[AnyArray]:
        """Every layer's keys and values of the first rows, each (rows, heads, columns, size).

        moved: as the block was when it had moved on by so many columns; None: as it is
        """
        moved = self._moved if moved is None else moved
        return [
            memory[moved * size : (moved + rows * heads * self.columns) * size].reshape(
                rows, heads, self.columns, size
            )
            for memory, (heads, size) in zip(self._memory, self.shape.heads, strict=True)
        ]

    def append(self, columns: Sequence[AnyArray]) -> None:
        """Move on by a column, and write what the first rows have there.

        columns: of every layer its keys and values, each (rows, heads, size)
        """
        self._moved += 1
        for cache, column in zip(self.caches(len(columns[0])), columns, strict=True):
            cache[:, :, -1] = column

    def row(self, place: int, length: int) -> CachedRow:
        """What is in a place now: a row of so many tokens."""
        row = CachedRow(self, place, self._moved, length)
        self._held.add(row)
        return row

    def take_in(self, rows: Sequence[CachedRow]) -> list[int] | None:
        """Hold these rows from the first place on: which row is in each place.

        None, and nothing is changed, where they can't all be here, or can't grow by a token.
        """
        own = [row for row in rows if row.block is self]
        if (
            len(rows) > self.room
            or self.room > _ROOMY * len(rows)
            or not max(row.length for row in rows) < self.columns <= _columns(rows) + BLOCK
            or self._moved == _MOVES
            or any(row.moved != self._moved for row in own)
            or len(own) != len(self._held)
            or set(own) != set(self._held)
        ):
            return None
        staying = {row.place: number for number, row in enumerate(rows) if row.block is self}
        order = [staying.get(place, -1) for place in range(len(rows))]
        moving = set(range(len(rows))).difference(order)
        for place, number in enumerate(order):
            if number < 0:
                order[place] = moving.pop()
                self.put(place, rows[order[place]])
        return order

    def put(self, place: int, row: CachedRow) -> None:
        """Copy a row to a place that is free."""
        padding = self.columns - row.length
        there = row.block.caches(row.place + 1, row.moved)
        for cache, other in zip(self.caches(place + 1), there, strict=True):
            cache[place, :, :padding] = 0
            cache[place, :, padding:] = other[row.place, :, row.block.columns - row.length :]


class DeviceBlock:
    """Caches of rows as a step has left them on its device, where the same rows go on from.

    Other rows, or other company, are laid out anew in host memory: nothing on a device can be
    changed from here.
    values: of every layer its keys and values, each (rows, heads, columns, size)
    """

    def __init__(self, shape: CacheShape, values: Sequence[DeviceArray]) -> None:
        self.shape, self.values = shape, values
        self._rows, _, self.columns, _ = values[0].value.shape()

    def caches(self, rows: int, _: int | None = None) -> list[AnyArray]:
        """Of the first rows, in host memory."""
        return [value.here()[:rows] for value in self.values]

    def row(self, place: int, length: int) -> CachedRow:
        """A row of so many tokens."""
        return CachedRow(self, place, 0, length)

    def holds(self, rows: Sequence[CachedRow]) -> bool:
        """Whether these are all its rows in their order."""
        return len(rows) == self._rows and all(
            row.block is self and row.place == place for place, row in enumerate(rows)
        )


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class CachedRow:
    """A sequence's cache after some token: what it holds stays as it is while the sequence goes on.

    place:  in its block
    moved:  by how many columns the block had moved on
    length: tokens that it holds, at the end of its columns
    """

    block: KVBlock | DeviceBlock
    place: int
    moved: int
    length: int

    def caches(self) -> list[AnyArray]:
        """Every layer's keys and values, each (1, heads, tokens, size)."""
        columns, place = self.block.columns, slice(self.place, self.place + 1)
        return [
            np.ascontiguousarray(cache[place, :, columns - self.length :])
            for cache in self.block.caches(self.place + 1, self.moved)
        ]


def claim_block(rows: Sequence[CachedRow]) -> tuple[KVBlock, list[int]]:
    """A claimed block that holds these rows from its first place on, and which is in each place.

    It is the block where most of them are, if that may hold the others too; else a new one.
    """
    block = Counter(row.block for row in rows).most_common(1)[0][0]
    if isinstance(block, KVBlock) and block.claim():
        order = block.take_in(rows)
        if order is not None:
            return block, order
        block.release()
    room = len(rows) if len(rows) == 1 else len(rows) + len(rows) // 2 + 1
    made = KVBlock(block.shape, room, _columns(rows))
    made.claim()
    for place, row in enumerate(rows):
        made.put(place, row)
    return made, list(range(len(rows)))


@dataclass(frozen=True, slots=True)
class KVCacheView:
    """Rows of one or several blocks; nothing is copied until they are stepped."""

    rows: tuple[CachedRow, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def lengths(self) -> Int64Array:
        """(rows,) tokens that each row holds."""
        return np.array([row.length for row in self.rows], np.int64)

    @property
    def columns(self) -> Int64Array:
        """(rows,) columns that each row would be padded to by itself."""
        return -(-self.lengths // BLOCK) * BLOCK

    def select(self, indices: Sequence[int]) -> KVCacheView:
        """These rows in this order."""
        return KVCacheView(tuple(self.rows[index] for index in indices))

    @staticmethod
    def join(parts: Sequence[KVCacheView]) -> KVCacheView:
        """All rows of all parts."""
        return KVCacheView(tuple(chain.from_iterable(part.rows for part in parts)))


def _columns(rows: Sequence[CachedRow]) -> int:
    """What rows need that are to grow by a token at least."""
    return (max(row.length for row in rows) // BLOCK + 1) * BLOCK
