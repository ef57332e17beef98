"""What the outputs of a classifier's head are, and how those of several members become one.

As transformers has it: `problem_type` says which function its text-classification pipeline applies
(`function_to_apply`). Arrays are as in `combine.py`; labels that do not exclude each other are
combined one by one, and their probabilities do not sum to 1.
"""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np

from streamproc.serving.ensembling.combine import (
    STRATEGIES,
    calibrated,
    combine_probabilities,
    mean_of_known,
    softmax,
)
from streamproc.types import BoolArray, FloatArray, ProblemType, Strategy

# A probability nearer to 0 or 1 than float64 tells from them has no finite logit.
_LEAST, _MOST = 1e-300, 1 - 2.0**-53
# Too small to overturn a vote; tells a tie apart by the mean probability.
_TIE_BREAK = 1e-6


class Head(Protocol):
    """strategies: the ways of combining members that mean something for its scores
    least_labels: how many labels a member must know
    """

    strategies: tuple[Strategy, ...]
    least_labels: int

    def scores(self, logits: FloatArray) -> FloatArray:
        """What members' logits, (members, ..., labels), say; NaN at labels that one lacks."""
        ...

    def combine(self, strategy: Strategy, scores: FloatArray, weights: FloatArray) -> FloatArray:
        """(..., labels) of what members say; weights: (members,), positive."""
        ...

    def agreeing(self, scores: FloatArray, combined: FloatArray) -> BoolArray | None:
        """(members, choices) whether each member, (members, ..., labels), chooses as `combined`,
        (..., labels), does; None: there is nothing to choose."""
        ...

    def calibrated(self, combined: FloatArray, temperature: float) -> FloatArray:
        """The same less sure by a temperature above 1, surer by one below."""
        ...

    def margin(self, combined: FloatArray) -> float | None:
        """By how much the closest of all choices was made, 0 to 1; None: there is nothing to
        choose."""
        ...


class SoftmaxHead:
    """Labels that exclude each other: their probabilities sum to 1."""

    strategies: tuple[Strategy, ...] = STRATEGIES
    least_labels = 2

    def scores(self, logits: FloatArray) -> FloatArray:
        return softmax(logits)

    def combine(self, strategy: Strategy, scores: FloatArray, weights: FloatArray) -> FloatArray:
        return combine_probabilities(strategy, scores, weights)

    def agreeing(self, scores: FloatArray, combined: FloatArray) -> BoolArray:
        own = np.where(np.isnan(scores), -1.0, scores).argmax(axis=-1)
        return np.asarray(own == combined.argmax(axis=-1)).reshape(len(scores), -1)

    def calibrated(self, combined: FloatArray, temperature: float) -> FloatArray:
        return calibrated(combined, temperature)

    def margin(self, combined: FloatArray) -> float:
        highest = np.partition(combined, -2, axis=-1)[..., -2:]
        return float((highest[..., 1] - highest[..., 0]).min(initial=1.0))


class SigmoidHead:
    """Labels each with a probability of its own; one that no member knows has none."""

    strategies: tuple[Strategy, ...] = STRATEGIES
    least_labels = 1

    def scores(self, logits: FloatArray) -> FloatArray:
        return sigmoid(logits)

    def combine(self, strategy: Strategy, scores: FloatArray, weights: FloatArray) -> FloatArray:
        even = np.ones_like(weights)
        if strategy in {"weighted", "gated"}:
            combined = mean_of_known(scores, weights)
        elif strategy == "logit_mean":
            combined = sigmoid(mean_of_known(logits_of(scores), even))
        else:
            combined = mean_of_known(scores, even)
            if strategy == "vote":
                votes = np.where(np.isnan(scores), np.nan, scores >= 0.5)
                tally = mean_of_known(votes, even) + _TIE_BREAK * combined
                combined = tally / (1 + _TIE_BREAK)
        return np.where(np.isnan(combined), 0.0, combined)

    def agreeing(self, scores: FloatArray, combined: FloatArray) -> BoolArray:
        return np.asarray((scores >= 0.5) == (combined >= 0.5)).reshape(len(scores), -1)

    def calibrated(self, combined: FloatArray, temperature: float) -> FloatArray:
        return combined if temperature == 1 else sigmoid(logits_of(combined) / temperature)

    def margin(self, combined: FloatArray) -> float:
        return float(np.abs(2 * combined - 1).min(initial=1.0))


class NumberHead:
    """Numbers, as they are: of a regression."""

    # Numbers have no logarithms to average, and hardly ever two members that say the same.
    strategies: tuple[Strategy, ...] = ("mean", "weighted", "gated")
    least_labels = 1

    def scores(self, logits: FloatArray) -> FloatArray:
        return logits

    def combine(self, strategy: Strategy, scores: FloatArray, weights: FloatArray) -> FloatArray:
        return mean_of_known(scores, np.ones_like(weights) if strategy == "mean" else weights)

    def agreeing(self, scores: FloatArray, combined: FloatArray) -> None:
        return None

    def calibrated(self, combined: FloatArray, temperature: float) -> FloatArray:
        return combined

    def margin(self, combined: FloatArray) -> None:
        return None


HEADS: Final[dict[ProblemType, Head]] = {
    "single_label_classification": SoftmaxHead(),
    "multi_label_classification": SigmoidHead(),
    "regression": NumberHead(),
}


def sigmoid(logits: FloatArray) -> FloatArray:
    """A probability for each logit; NaN stays NaN."""
    # By the sign, as exp of a large number is infinite.
    small = np.exp(-np.abs(logits))
    return np.asarray(np.where(logits < 0, small, 1.0) / (1 + small))


def logits_of(probabilities: FloatArray) -> FloatArray:
    """What the sigmoid makes these probabilities of, finite at 0 and 1 too."""
    held = np.clip(probabilities, _LEAST, _MOST)
    return np.asarray(np.log(held) - np.log1p(-held))
