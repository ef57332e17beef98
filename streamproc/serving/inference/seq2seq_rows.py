"""What an encoder-decoder member remembers of sequences: their sources, and the text so far.

The decoder that optimum exports has neither a mask nor positions for what it has written: a call is
for rows that have written equally much. So rows are kept in groups of one length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, groupby

import numpy as np
from numpy.typing import NDArray

# ONNX Runtime adds up in SIMD lanes and blocks of them: over a multiple of this many source tokens
# every token stays in its lane, however long the sources beside it are, so that sums are equal to
# the bit. Measured: multiples of 8 do on AVX-512; anything else differs by up to 6e-4.
SOURCE_BLOCK = 32

Tensor = NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One sequence's source as the decoder's cross-attention keeps it.

    mask:  (source,) int64, 1 at tokens and 0 at padding; source is a multiple of SOURCE_BLOCK
    cache: for each of the graph's encoder caches, (heads, source, head size)
    """

    mask: NDArray[np.int64]
    cache: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True, eq=False)
class SourceBatch:
    """Sources of several rows, padded to the longest, as the graph takes them.

    mask: (rows, source) int64; cache: each (rows, heads, source, head size)
    """

    sources: tuple[Source, ...]
    mask: NDArray[np.int64]
    cache: tuple[Tensor, ...]

    @classmethod
    def of(cls, sources: Sequence[Source]) -> SourceBatch:
        """Stack and pad; what is padded is masked."""
        longest = max(len(source.mask) for source in sources)
        mask = np.zeros((len(sources), longest), np.int64)
        for row, source in enumerate(sources):
            mask[row, : len(source.mask)] = source.mask
        cache = []
        for index, first in enumerate(sources[0].cache):
            heads, _, size = first.shape
            stacked = np.zeros((len(sources), heads, longest, size), first.dtype)
            for row, source in enumerate(sources):
                stacked[row, :, : len(source.mask)] = source.cache[index]
            cache.append(stacked)
        return cls(tuple(sources), mask, tuple(cache))

    def of_rows(self, rows: Sequence[int]) -> SourceBatch:
        """These rows; the same arrays where that changes nothing, as when beams trade places."""
        sources = tuple(self.sources[row] for row in rows)
        if len(sources) == len(self.sources) and all(
            new is old for new, old in zip(sources, self.sources, strict=True)
        ):
            return self
        return SourceBatch.of(sources)


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Rows that have written equally much.

    written: for each of the graph's decoder caches, (rows, heads, written tokens, head size)
    """

    sources: SourceBatch
    written: tuple[Tensor, ...]

    @property
    def length(self) -> int:
        """How many tokens each row's decoder has read."""
        return int(self.written[0].shape[2])

    @classmethod
    def gathered(cls, places: Sequence[tuple[Group, int]]) -> Group:
        """One group of rows of groups of one length, in this order."""
        runs = (list(run) for _, run in groupby(places, key=lambda place: id(place[0])))
        parts = [run[0][0].picked([place for _, place in run]) for run in runs]
        if len(parts) == 1:
            return parts[0]
        return Group(
            SourceBatch.of([source for part in parts for source in part.sources.sources]),
            tuple(map(np.concatenate, zip(*(part.written for part in parts), strict=True))),
        )

    def picked(self, rows: list[int]) -> Group:
        """These rows, in this order."""
        if rows == list(range(len(self.sources.sources))):
            return self
        return Group(self.sources.of_rows(rows), tuple(cache[rows] for cache in self.written))


@dataclass(frozen=True, slots=True, eq=False)
class Seq2SeqRows:
    """Rows of an encoder-decoder, each a place in a group; nothing is copied until a step."""

    places: tuple[tuple[Group, int], ...]

    @classmethod
    def of(cls, group: Group) -> Seq2SeqRows:
        """All rows of a group."""
        return cls(tuple((group, place) for place in range(len(group.sources.sources))))

    def __len__(self) -> int:
        return len(self.places)

    def groups(self) -> list[tuple[Group, list[int]]]:
        """The rows as groups of one length, and of each group which rows they are, by number."""
        by_length: dict[int, list[int]] = {}
        for row, (group, _) in enumerate(self.places):
            by_length.setdefault(group.length, []).append(row)
        return [
            (Group.gathered([self.places[row] for row in rows]), rows)
            for rows in by_length.values()
        ]

    def select(self, indices: Sequence[int]) -> Seq2SeqRows:
        """These rows in this order; one may be taken several times, or not at all."""
        return Seq2SeqRows(tuple(self.places[index] for index in indices))

    @classmethod
    def joined(cls, parts: Sequence[Seq2SeqRows]) -> Seq2SeqRows:
        """All rows of all parts, in order."""
        return cls(tuple(chain.from_iterable(part.places for part in parts)))
