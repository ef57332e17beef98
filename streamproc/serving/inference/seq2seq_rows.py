"""What an encoder-decoder member remembers of sequences: their sources, and the text so far.

The decoder that optimum exports has neither a mask nor positions for what it has written: a call is
for rows that have written equally much. So rows are kept in groups of one length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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

    def rows(self, rows: Sequence[int]) -> Group:
        """These rows, in this order."""
        picked = list(rows)
        if picked == list(range(len(self.sources.sources))):
            return self
        return Group(self.sources.of_rows(picked), tuple(cache[picked] for cache in self.written))


@dataclass(frozen=True, slots=True, eq=False)
class Seq2SeqRows:
    """Rows of an encoder-decoder; places: for each row its group, and its place there."""

    groups: tuple[Group, ...]
    places: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.places)

    def of_group(self, group: int) -> list[int]:
        """Which rows a group's are, in the group's order."""
        places = [(place, row) for row, (of, place) in enumerate(self.places) if of == group]
        return [row for _, row in sorted(places)]

    def select(self, indices: Sequence[int]) -> Seq2SeqRows:
        """These rows in this order; one may be taken several times, or not at all."""
        groups: list[Group] = []
        places = [(0, 0)] * len(indices)
        for number, group in enumerate(self.groups):
            taken = [at for at, index in enumerate(indices) if self.places[index][0] == number]
            if not taken:
                continue
            for place, at in enumerate(taken):
                places[at] = (len(groups), place)
            groups.append(group.rows([self.places[indices[at]][1] for at in taken]))
        return Seq2SeqRows(tuple(groups), tuple(places))

    @classmethod
    def joined(cls, parts: Sequence[Seq2SeqRows]) -> Seq2SeqRows:
        """All rows of all parts, in order; groups of one length become one."""
        by_length: dict[int, list[Group]] = {}
        places: list[tuple[int, int]] = []
        lengths: dict[int, int] = {}
        for part in parts:
            moved = []
            for group in part.groups:
                there = by_length.setdefault(group.length, [])
                number = lengths.setdefault(group.length, len(lengths))
                moved.append((number, sum(len(g.sources.sources) for g in there)))
                there.append(group)
            places += [(moved[of][0], moved[of][1] + place) for of, place in part.places]
        return cls(tuple(map(_merged, by_length.values())), tuple(places))


def _merged(groups: Sequence[Group]) -> Group:
    if len(groups) == 1:
        return groups[0]
    return Group(
        SourceBatch.of([source for group in groups for source in group.sources.sources]),
        tuple(np.concatenate(caches) for caches in zip(*(g.written for g in groups), strict=True)),
    )
