"""The chunks that an encoder learns from: those that serving makes, each with what is right."""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from streamproc.offline.training.on_disk import TokenRows
from streamproc.serving.chunking.windows import Chunk
from streamproc.serving.inference.batch import ModelInput
from streamproc.types import Int64Array

# A target that teaches nothing: torch's own default of what cross-entropy leaves out.
NO_TARGET = -100


ChunkT = TypeVar("ChunkT", bound=ModelInput)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EncodedText:
    """ids, type_ids: (tokens,) int64, with the special tokens"""

    ids: Int64Array
    type_ids: Int64Array


@dataclass(frozen=True, slots=True)
class LabelledChunk(Generic[ChunkT]):
    """A chunk of a record, and what is right in it.

    targets: (1,) a label, (tokens,) a label each, or (2,) a span's ends
    record:  the record's index
    """

    chunk: ChunkT
    targets: Int64Array
    record: int


@dataclass(frozen=True, slots=True)
class LabelledBatch:
    """Chunks that are learned from in one step."""

    chunks: Sequence[LabelledChunk[EncodedText]]

    @property
    def targets(self) -> Int64Array:
        """(chunks, longest) NO_TARGET where there is none."""
        longest = max(len(chunk.targets) for chunk in self.chunks)
        padded = np.full((len(self.chunks), longest), NO_TARGET, np.int64)
        for row, chunk in zip(padded, self.chunks, strict=True):
            row[: len(chunk.targets)] = chunk.targets
        return padded


class LabelledChunks:
    """Chunks kept on disk; two numbers a chunk are in memory.

    records: (chunks,) the record that each is a chunk of, rising
    lengths: (chunks,) tokens of each, with the special ones
    """

    def __init__(self, chunks: Iterable[LabelledChunk[Chunk]]) -> None:
        self._ids, self._type_ids, self._targets = TokenRows(), TokenRows(), TokenRows()
        records = array("q")
        for labelled in chunks:
            self._ids.append(labelled.chunk.ids)
            self._type_ids.append(labelled.chunk.type_ids)
            self._targets.append(labelled.targets)
            records.append(labelled.record)
        self.records: Int64Array = np.array(records, np.int64)
        self.lengths = self._ids.lengths()

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> LabelledChunk[EncodedText]:
        text = EncodedText(self._ids[index], self._type_ids[index])
        return LabelledChunk(text, self._targets[index], int(self.records[index]))

    def batches(
        self, chosen: Int64Array, size: int, order: random.Random
    ) -> Iterator[LabelledBatch]:
        """Some of the chunks in batches of like length, in an order that is drawn."""
        drawn = np.random.default_rng(order.getrandbits(64))
        # So that chunks of one length meet others each time.
        ranked = drawn.permutation(len(chosen))
        groups = groups_by_length(self.lengths[chosen[ranked]], size)
        for group in drawn.permutation(len(groups)):
            places = chosen[ranked[groups[group]]]
            yield LabelledBatch([self[place] for place in places.tolist()])


def draw(records: Int64Array, per_record: int, order: random.Random) -> Int64Array:
    """At most so many chunks of each record, so that long texts do not outweigh the rest.

    records: (chunks,) the record that each is a chunk of, rising
    returns: (any,) which chunks, rising
    """
    _, starts, counts = np.unique(records, return_index=True, return_counts=True)
    kept = np.ones(len(records), np.bool_)
    long = counts > per_record
    for start, count in zip(starts[long].tolist(), counts[long].tolist(), strict=True):
        kept[start : start + count] = False
        kept[order.sample(range(start, start + count), per_record)] = True
    return np.flatnonzero(kept)


def groups_by_length(lengths: Int64Array, size: int) -> list[Int64Array]:
    """Places in groups of like length, the shortest first."""
    ranked = np.argsort(lengths, kind="stable")
    return [ranked[first : first + size] for first in range(0, len(ranked), size)]


def mixed_lengths(sequences: Sequence[T], most: int, size: int = 16) -> list[list[T]]:
    """Some sequences in groups of unlike lengths: what padding could leak into."""
    order = random.Random(0)  # noqa: S311  # an order to be repeated, not a secret
    drawn = order.sample(range(len(sequences)), min(len(sequences), most))
    chosen = [sequences[place] for place in drawn]
    return [chosen[first : first + size] for first in range(0, len(chosen), size)]
