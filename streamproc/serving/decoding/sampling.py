"""Choosing one token: the likeliest, or by lot with a seed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Self

import numpy as np

from streamproc.serving.decoding.logits_processors import LogitsProcessors
from streamproc.serving.decoding.warping import (
    epsilon_cutoff,
    eta_cutoff,
    min_p,
    probabilities,
    top_k,
    top_p,
    typical_p,
)
from streamproc.types import FloatArray, Int64Array


@dataclass(frozen=True, slots=True)
class Odds:
    """What lots are drawn by, as transformers' settings of the same names.

    temperature > 0; top_k: 0 for all; top_p, typical_p: 1 for all; min_p, epsilon_cutoff,
    eta_cutoff: 0 for all
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0
    epsilon_cutoff: float = 0.0
    eta_cutoff: float = 0.0

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
        if self.min_p:
            warped = min_p(warped, self.min_p)
        if self.typical_p < 1.0:
            warped = typical_p(warped, self.typical_p)
        if self.epsilon_cutoff:
            warped = epsilon_cutoff(warped, self.epsilon_cutoff)
        if self.eta_cutoff:
            warped = eta_cutoff(warped, self.eta_cutoff)
        return warped


@dataclass(frozen=True, slots=True)
class Sampling:
    """By lot; seed: same seed, same lots."""

    seed: int
    odds: Odds = Odds()

    @classmethod
    def of_prompt(cls, ids: Int64Array, odds: Odds, seed: int | None = None) -> Self:
        """Without a seed one is made of the prompt, so that what comes twice is answered alike."""
        if seed is None:
            seed = int.from_bytes(hashlib.sha256(ids.tobytes()).digest()[:8], "big")
        return cls(seed, odds)


class TokenSampler:
    """Chooses the tokens of one sequence, one after the other, in transformers' order of rules.

    Its numbers are float64 and its lots its own, so that what else is decoded makes no difference.
    """

    def __init__(
        self, sampling: Sampling | None = None, processors: LogitsProcessors | None = None
    ) -> None:
        """sampling: None takes the likeliest."""
        self._odds = None if sampling is None else sampling.odds
        self._processors = processors or LogitsProcessors()
        self._lots = (
            None if sampling is None else np.random.Generator(np.random.PCG64(sampling.seed))
        )

    def choose(self, logits: FloatArray, history: Int64Array, *, is_last: bool) -> int:
        """The next token.

        logits: (vocabulary,); history: what was read and written
        """
        logits = self._processors(logits[None], [history], is_last=is_last)[0]
        if self._odds is None or self._lots is None:
            return int(logits.argmax())
        warped = self._odds.warped(logits)
        # By the inverse of the distribution function, over tokens in the order of their ids.
        ends = np.cumsum(probabilities(warped))
        place = np.searchsorted(ends, self._lots.random() * ends[-1], side="right")
        return int(min(place, np.flatnonzero(warped > -np.inf)[-1]))

    def was_cut(self, token: int, scores: FloatArray, *, is_last: bool) -> bool:
        """Whether an end was forced on a sequence that was not at its end.

        scores: (vocabulary,) what the members said before any rule
        """
        return self._processors.forces_end(token, is_last=is_last) and int(scores.argmax()) != token
