from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streamproc.serving.inference.cache_rows import (
    CachedRow,
    CacheShape,
    KVBlock,
    claim_block,
)

HEADS, SIZE = 2, 8
SHAPE = CacheShape(((HEADS, SIZE), (HEADS, SIZE)), np.float32)


class Rows:
    """Rows that grow as a model would have them, and what each is to hold."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(0)
        self.rows: list[CachedRow] = []
        self.expected: list[list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]] = []

    def start(self, tokens: int) -> None:
        caches = [self._numbers(1, HEADS, tokens, SIZE) for _ in SHAPE.heads]
        self.rows.append(KVBlock(SHAPE, 1, tokens, caches).row(0, tokens))
        self.expected.append([cache[0].copy() for cache in caches])

    def leave(self, *numbers: int) -> None:
        for number in sorted(numbers, reverse=True):
            del self.rows[number], self.expected[number]

    def step(self) -> KVBlock:
        block, order = claim_block(self.rows)
        new = [self._numbers(len(order), HEADS, SIZE) for _ in SHAPE.heads]
        block.append(new)
        for place, number in enumerate(order):
            self.rows[number] = block.row(place, self.rows[number].length + 1)
            self.expected[number] = [
                np.concatenate((cache, column[place, :, None]), axis=1)
                for cache, column in zip(self.expected[number], new, strict=True)
            ]
        block.release()
        return block

    def _numbers(self, *shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return self._random.normal(size=shape).astype(np.float32)

    def check(self) -> None:
        for row, expected in zip(self.rows, self.expected, strict=True):
            check(row, expected)


def check(
    row: CachedRow, expected: Sequence[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]
) -> None:
    """A row has what it is to have at its end, and zeros before that."""
    block = row.block
    for cache, own in zip(block.caches(row.place + 1, row.moved), expected, strict=True):
        padding = block.columns - row.length
        np.testing.assert_array_equal(cache[row.place, :, padding:], own)
        if row.moved == max(one.moved for one in [row]):
            assert not cache[row.place, :, :padding].any() or block.room == 1


def test_memory_is_used_again_from_step_to_step() -> None:
    rows = Rows()
    for tokens in (3, 20, 7):
        rows.start(tokens)

    blocks = {id(rows.step()) for _ in range(12)}

    assert len(blocks) == 1
    rows.check()
