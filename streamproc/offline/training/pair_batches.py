"""Sentences and their translations as batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamproc.offline.training.labelled_chunks import NO_TARGET
from streamproc.types import Int64Array


@dataclass(frozen=True, slots=True)
class PairBatch:
    """Sentences and their translations, padded.

    source, source_mask: (pairs, tokens) int64, each source with its end
    written: (pairs, tokens) int64, what the decoder has before each token it is to say
    targets: (pairs, tokens) int64, what it is to say, its end included; NO_TARGET beyond
    """

    source: Int64Array
    source_mask: Int64Array
    written: Int64Array
    targets: Int64Array


def pad_pairs(pairs: Sequence[tuple[Int64Array, Int64Array]], start: int) -> PairBatch:
    """Source and translation of each pair, their ends included, as one batch.

    start: what a translation begins with, and what padding is
    """
    longest = [max(len(pair[side]) for pair in pairs) for side in (0, 1)]
    source = np.full((len(pairs), longest[0]), start, dtype=np.int64)
    mask = np.zeros_like(source)
    written = np.full((len(pairs), longest[1]), start, dtype=np.int64)
    targets = np.full_like(written, NO_TARGET)
    for row, (said, meant) in enumerate(pairs):
        source[row, : len(said)] = said
        mask[row, : len(said)] = 1
        written[row, 1 : len(meant)] = meant[:-1]
        targets[row, : len(meant)] = meant
    return PairBatch(source, mask, written, targets)
