"""Choosing one token: the likeliest, or by lot with a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamproc.decoding.constraints import Constraints
from streamproc.decoding.model import FloatArray, Int64Array
from streamproc.decoding.warping import probabilities, repetition_penalty, top_k, top_p


@dataclass(frozen=True, slots=True)
class Sampling:
    """By lot: temperature > 0; top_k: 0 for all; top_p: 1 for all; seed: same seed, same lots."""

    seed: int
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def warped(self, logits: FloatArray) -> FloatArray:
        """(vocabulary,) logits of the odds that lots are drawn by."""
        if logits.max() == -np.inf:
            # Everything is forbidden; something has to be written all the same.
            return np.zeros_like(logits)
        warped = logits / self.temperature
        if self.top_k:
            warped = top_k(warped, self.top_k)
        if self.top_p < 1.0:
            warped = top_p(warped, self.top_p)
        return warped


class Choice:
    """Chooses the tokens of one sequence, one after the other, in transformers' order of rules.

    Its numbers are float64 and its lots its own, so that what else is decoded makes no difference.
    """

    def __init__(
        self,
        sampling: Sampling | None = None,
        *,
        penalty: float = 1.0,
        constraints: Constraints | None = None,
        end_tokens: tuple[int, ...] = (),
        min_new_tokens: int = 0,
    ) -> None:
        """sampling: None takes the likeliest; end_tokens may not come before `min_new_tokens`."""
        self._sampling = sampling
        self._penalty = penalty
        self._constraints = constraints or Constraints()
        self._end_tokens = list(end_tokens)
        self._min_new_tokens = min_new_tokens
        self._lots = (
            None if sampling is None else np.random.Generator(np.random.PCG64(sampling.seed))
        )

    def choose(
        self, logits: FloatArray, history: Int64Array, written: int, *, is_last: bool
    ) -> int:
        """The next token.

        logits: (vocabulary,); history: what was read and written; written: how much of it was
        """
        if self._penalty != 1.0:
            logits = repetition_penalty(logits, history, self._penalty)
        logits = self._constraints.applied(logits[None], [history], is_last=is_last)[0]
        if written < self._min_new_tokens:
            logits[self._end_tokens] = -np.inf
        if self._sampling is None or self._lots is None:
            return int(logits.argmax())
        warped = self._sampling.warped(logits)
        # By the inverse of the distribution function, over tokens in the order of their ids.
        ends = np.cumsum(probabilities(warped))
        place = np.searchsorted(ends, self._lots.random() * ends[-1], side="right")
        return int(min(place, np.flatnonzero(warped > -np.inf)[-1]))
