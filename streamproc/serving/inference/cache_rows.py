"""Key-value caches of several sequences, a row each, padded so that no row feels its neighbours.

A row's keys and values stand at the end of a block of columns, zeros before them, as many columns
as the longest row beside it needs: a multiple of `BLOCK`. So a token's place, counted in blocks, is
the same whatever stands beside its sequence; and a kernel that works on several columns at once, or
adds up in blocks, adds the same numbers in the same order, and zeros. The multiple was measured:
docs/decisions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import DTypeLike

from streamproc.types import AnyArray, Int64Array

BLOCK = 32
# How much larger than needed memory may be that is kept.
_ROOMY = 4


@dataclass(frozen=True, slots=True, eq=False)
class Cache:
    """What a call returned.

    tensors: of every layer its keys and values, each (rows, heads, columns, size)
    lengths: (rows,) how many of the columns, the last ones, are a row's own
    """

    tensors: tuple[AnyArray, ...]
    lengths: Int64Array


class KVBuffer:
    """Where a call's caches are laid out, used again from step to step.

    Fresh memory of that size comes from the system page by page, which takes longer than copying.
    What is far too large is let go: once a burst is over, the last of it are small.
    """

    def __init__(self) -> None:
        self._buffers: dict[tuple[int, int], AnyArray] = {}

    def tensor(self, lot: int, number: int, shape: tuple[int, ...], dtype: DTypeLike) -> AnyArray:
        """An array that holds anything; the last one of that lot and number is no more."""
        size = math.prod(shape)
        buffer = self._buffers.get((lot, number))
        if buffer is None or not size <= len(buffer) <= _ROOMY * size:
            buffer = self._buffers[lot, number] = np.empty(size, dtype)
        return buffer[:size].reshape(shape)

    def keep(self, lots: int) -> None:
        """Let go of all lots but the first so many."""
        self._buffers = {at: buffer for at, buffer in self._buffers.items() if at[0] < lots}


@dataclass(frozen=True, slots=True)
class KVCacheView:
    """Rows of one or several caches; nothing is copied until they are stepped."""

    places: tuple[tuple[Cache, int], ...]

    @classmethod
    def of(cls, cache: Cache) -> KVCacheView:
        """All rows of a cache."""
        return cls(tuple((cache, row) for row in range(len(cache.lengths))))

    def __len__(self) -> int:
        return len(self.places)

    @property
    def lengths(self) -> Int64Array:
        """(rows,) tokens that each row holds."""
        return np.array([cache.lengths[row] for cache, row in self.places], np.int64)

    @property
    def columns(self) -> Int64Array:
        """(rows,) columns that each row would be padded to by itself."""
        return -(-self.lengths // BLOCK) * BLOCK

    def select(self, indices: Sequence[int]) -> KVCacheView:
        """These rows in this order."""
        return KVCacheView(tuple(self.places[index] for index in indices))

    @staticmethod
    def join(parts: Sequence[KVCacheView]) -> KVCacheView:
        """All rows of all parts."""
        return KVCacheView(tuple(place for part in parts for place in part.places))

    def padded(self, memory: KVBuffer, lot: int) -> list[AnyArray]:
        """Every layer's keys and values, each (rows, heads, columns, size), zeros before a row.

        They lie in `memory`, and last until it is used again for a lot of that number.
        """
        columns = int(self.columns.max())
        first = self.places[0][0]
        made = []
        for number, like in enumerate(first.tensors):
            shape = (len(self), like.shape[1], columns, like.shape[3])
            tensor = memory.tensor(lot, number, shape, like.dtype)
            for cache, source, target in self._runs():
                own = int(cache.lengths[source].max())
                there = cache.tensors[number]
                tensor[target, :, : columns - own] = 0
                tensor[target, :, columns - own :] = there[source, :, there.shape[2] - own :]
            made.append(tensor)
        return made

    def _runs(self) -> Iterator[tuple[Cache, slice, slice]]:
        """Rows that lie behind each other in one cache: which they are there, and here."""
        numbered = enumerate(self.places)
        for _, run in groupby(numbered, key=lambda at: (id(at[1][0]), at[1][1] - at[0])):
            places = list(run)
            target, (cache, source) = places[0]
            yield cache, slice(source, source + len(places)), slice(target, target + len(places))
