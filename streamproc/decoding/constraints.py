"""What a sequence may not write next, whatever the members say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamproc.decoding.model import FloatArray, Int64Array


@dataclass(frozen=True, slots=True)
class Constraints:
    """Rules that hold at every step, as transformers' logits processors of the same names.

    banned_tokens:        never written, as the padding token of Marian
    no_repeat_ngram_size: no run of so many tokens is written twice; 0: no such rule
    forced_end_token:     written as the last token that is allowed, where the model has one
    """

    banned_tokens: tuple[int, ...] = ()
    no_repeat_ngram_size: int = 0
    forced_end_token: int | None = None

    def applied(
        self, log_probabilities: FloatArray, histories: Sequence[Int64Array], *, is_last: bool
    ) -> FloatArray:
        """The scores with minus infinity at what may not come next.

        log_probabilities: (rows, vocabulary)
        histories: for each row what it has read and written, its decoder's start token included
        is_last:   whether no token may follow the next
        """
        allowed = log_probabilities.copy()
        if is_last and self.forced_end_token is not None:
            allowed[:] = -np.inf
            # Zero, as transformers has it: a forced token costs a sequence nothing.
            allowed[:, self.forced_end_token] = 0.0
            return allowed
        for row, history in enumerate(histories):
            allowed[row, _repeating(history, self.no_repeat_ngram_size)] = -np.inf
        allowed[:, list(self.banned_tokens)] = -np.inf
        return allowed


def _repeating(history: Int64Array, size: int) -> Int64Array:
    """Tokens that would complete a run of `size` tokens that the history has already."""
    if size == 0 or len(history) < size:
        return np.empty(0, np.int64)
    runs = np.lib.stride_tricks.sliding_window_view(history, size)
    begun = history[len(history) - size + 1 :]
    return np.asarray(runs[(runs[:, :-1] == begun).all(axis=1), -1])
