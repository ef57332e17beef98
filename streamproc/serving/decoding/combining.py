"""What the members say of the next tokens of many sequences, combined in few calls."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence as List

import numpy as np

from streamproc.serving.decoding.search import StepScores
from streamproc.serving.decoding.sequence import Sequence

# Numbers of one member in a call: beyond that, arrays leave the cache and rows by themselves are
# as fast.
_MOST_SCORES = 2**16


def combine_all(sequences: List[Sequence]) -> Iterator[tuple[Sequence, StepScores | Exception]]:
    """For each sequence, in any order, what all members say together, or why that can't be told.

    Sequences that are combined alike, of members that have all answered, share a call: a row's
    scores are the same to the bit whatever stands beside it.
    """
    alike: dict[object, list[list[Sequence]]] = {}
    for sequence in sequences:
        lots = alike.setdefault((sequence.prompt.combine, *sequence.answered), [[]])
        if lots[-1] and _scores(lots[-1]) + _scores([sequence]) > _MOST_SCORES:
            lots.append([])
        lots[-1].append(sequence)
    for lots in alike.values():
        for lot in lots:
            yield from _combine(lot)


def _scores(lot: List[Sequence]) -> int:
    return sum(sequence.logits[sequence.answered[0]].size for sequence in lot)


def _combine(lot: List[Sequence]) -> Iterator[tuple[Sequence, StepScores | Exception]]:
    answered = lot[0].answered
    try:
        together = lot[0].prompt.combine(
            np.stack([np.concatenate([one.logits[member] for one in lot]) for member in answered]),
            np.concatenate([one.evidence() for one in lot], axis=1),
            answered,
        )
    except Exception as error:  # noqa: BLE001 - one sequence's trouble must not be another's
        if len(lot) == 1:
            yield lot[0], error
            return
        for sequence in lot:
            yield from _combine([sequence])
        return
    first = 0
    for sequence in lot:
        end = first + sequence.rows
        yield sequence, together.rows(first, end)
        first = end
