"""Which tokens would complete a run of tokens that may not be written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from streamproc.types import Int64Array

_NOTHING = np.empty(0, np.int64)


class BannedSequences:
    """Runs of tokens that are never written, looked up by what comes before their last token."""

    def __init__(self, sequences: Iterable[Sequence[int]] = ()) -> None:
        """sequences: each of one token at least"""
        last: dict[tuple[int, ...], set[int]] = defaultdict(set)
        for sequence in sequences:
            last[tuple(sequence[:-1])].add(sequence[-1])
        self._always = np.array(sorted(last.pop((), ())), np.int64)
        # By the end tokens that are no part of it: the same at every step.
        self._never: dict[tuple[int, ...], Int64Array] = {}
        self._last = {before: np.array(sorted(tokens)) for before, tokens in last.items()}
        self._lengths = sorted({len(before) for before in self._last})

    def after(self, history: Int64Array, end_tokens: Sequence[int]) -> Int64Array:
        """What would complete one; an end token alone is never banned.

        As transformers' NoBadWordsLogitsProcessor has it: a sequence counts only where the history
        is as long as the whole of it.
        """
        ends = tuple(end_tokens)
        if ends not in self._never:
            self._never[ends] = self._always[~np.isin(self._always, end_tokens)]
        if not self._lengths:
            return self._never[ends]
        completing = (
            self._last.get(tuple(history[-length:].tolist()), _NOTHING)
            for length in self._lengths
            if length < len(history)
        )
        return np.concatenate((self._never[ends], *completing))


def repeating(text: Int64Array, history: Int64Array, size: int) -> Int64Array:
    """Tokens that would complete a run of `size` tokens that the text has; 0: none.

    history: what the run is the end of
    """
    if size == 0 or len(text) < size or len(history) < size - 1:
        return _NOTHING
    runs = np.lib.stride_tricks.sliding_window_view(text, size)
    begun = history[len(history) - size + 1 :]
    return np.asarray(runs[(runs[:, :-1] == begun).all(axis=1), -1])
