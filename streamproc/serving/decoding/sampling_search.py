"""The search of one row: a sequence continued token by token, greedily or by lot."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from streamproc.serving.decoding.sampling import TokenSampler
from streamproc.serving.decoding.search import Decoded, FinishReason, SearchStep, StepScores
from streamproc.serving.decoding.stopping_criteria import StopStrings
from streamproc.types import FloatArray, Int64Array


class SamplingSearch:
    """A Search that writes until an end token, a stop string, or as much as is allowed."""

    def __init__(
        self,
        prompt: Int64Array,
        choice: TokenSampler,
        *,
        max_new_tokens: int,
        end_tokens: tuple[int, ...],
        stop: StopStrings | None = None,
        next_tokens: int = 0,
        on_token: Callable[[int], None] | None = None,
    ) -> None:
        """stop: what ends it beside an end token

        next_tokens: how many of the likeliest first tokens the result lists
        on_token: told each token that another follows, from the thread that advances
        """
        self._history = np.concatenate((prompt, np.zeros(max_new_tokens, np.int64)))
        self._read = len(prompt)
        self._written = 0
        self._choice = choice
        self._end_tokens = frozenset(end_tokens)
        self._stop = stop
        self._next_tokens = next_tokens
        self._on_token = on_token
        self._likeliest: tuple[tuple[int, float], ...] = ()
        self._finish_reason: FinishReason = "length"
        self._steps: list[tuple[float, float]] = []

    def advance(self, scores: StepScores) -> SearchStep:
        log_probabilities = scores.log_probabilities[0]
        if self._next_tokens and not self._steps:
            self._likeliest = likeliest(log_probabilities, self._next_tokens)
        self._steps.append((float(scores.entropy[0]), float(scores.agreement[0])))
        is_last = self._read + self._written + 1 == len(self._history)
        token = self._choice.choose(
            log_probabilities + scores.log_normaliser[0],
            self._history[: self._read + self._written],
            is_last=is_last,
        )
        return self._after(
            token, cut=self._choice.was_cut(token, log_probabilities, is_last=is_last)
        )

    def result(self) -> Decoded:
        entropy, agreement = np.mean(self._steps, axis=0)
        return Decoded(
            self._history[self._read : self._read + self._written],
            self._finish_reason,
            float(entropy),
            float(agreement),
            self._likeliest,
        )

    def _after(self, token: int, *, cut: bool) -> SearchStep:
        if token in self._end_tokens:
            self._finish_reason = "length" if cut else "stop"
            return _DONE
        self._history[self._read + self._written] = token
        self._written += 1
        if self._stop and self._stop.reached(token):
            self._finish_reason = "stop"
            return _DONE
        if self._read + self._written == len(self._history):
            return _DONE
        if self._on_token is not None:
            self._on_token(token)
        return SearchStep(np.zeros(1, np.int64), np.array([token], np.int64))


_DONE = SearchStep(np.empty(0, np.int64), np.empty(0, np.int64))


def likeliest(log_probabilities: FloatArray, count: int) -> tuple[tuple[int, float], ...]:
    """The likeliest tokens with their probabilities, likeliest first; of equals the lower id."""
    order = np.argsort(-log_probabilities, kind="stable")[:count]
    return tuple((int(token), float(np.exp(log_probabilities[token]))) for token in order)
