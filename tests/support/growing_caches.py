"""Rows of key-value caches that grow as a model has them grow, and what each is to hold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streamproc.serving.inference.cache_rows import CachedRow, CacheShape, KVBlock, claim_block

# Of two sizes, as a model's keys and values may be.
SHAPE = CacheShape(((2, 8), (1, 4)), np.float32)

Cache = NDArray[np.float32]


class GrowingCaches:
    """expected: of each row and tensor, (heads, tokens, size)"""

    def __init__(self) -> None:
        self._random = np.random.default_rng(0)
        self.rows: list[CachedRow] = []
        self.expected: list[list[Cache]] = []

    def start(self, tokens: int) -> None:
        """One more row, as a prompt of so many tokens has left it."""
        caches = [self._numbers(1, heads, tokens, size) for heads, size in SHAPE.heads]
        self.rows.append(KVBlock(SHAPE, 1, tokens, caches).row(0, tokens))
        self.expected.append([cache[0].copy() for cache in caches])

    def leave(self, *numbers: int) -> None:
        """Forget these rows."""
        for number in sorted(numbers, reverse=True):
            del self.rows[number], self.expected[number]

    def select(self, numbers: Sequence[int]) -> None:
        """Go on with these rows, of which one may come twice."""
        self.rows = [self.rows[number] for number in numbers]
        self.expected = [self.expected[number] for number in numbers]

    def step(self) -> KVBlock:
        """A token more for each row; returns where they all are."""
        block, order = claim_block(self.rows)
        new = [self._numbers(len(order), heads, size) for heads, size in SHAPE.heads]
        block.append(new)
        for place, number in enumerate(order):
            self.rows[number] = block.row(place, self.rows[number].length + 1)
            self.expected[number] = [
                np.concatenate((cache, column[place, :, None]), axis=1)
                for cache, column in zip(self.expected[number], new, strict=True)
            ]
        block.release()
        return block

    def check(self) -> None:
        """Each row has at its end what it is to have, and zeros before."""
        for row, expected in zip(self.rows, self.expected, strict=True):
            for own, cache, whole in zip(
                expected, row.caches(), row.block.caches(row.place + 1, row.moved), strict=True
            ):
                np.testing.assert_array_equal(cache[0], own)
                padding = row.block.columns - row.length
                # The first column may be what the head before has got since.
                assert not whole[row.place, :, 1:padding].any()

    def check_stepped(self) -> None:
        """Rows that were stepped last are as a graph is to see them: zeros, and what they hold."""
        for row in self.rows:
            for whole in row.block.caches(row.place + 1):
                assert not whole[row.place, :, : row.block.columns - row.length].any()

    def _numbers(self, *shape: int) -> Cache:
        return self._random.uniform(1, 2, size=shape).astype(np.float32)
