"""Ways of combining members: mean of probabilities, mean of logits, weighted, gated, vote.

In all of them `logits` and `probabilities` are (members, ..., labels), float64, NaN at a label that
a member does not know; `weights` is (members,), positive: each member's say under the strategies
`weighted` and `gated`; or (members, rows) for (members, rows, ..., labels). A label that a member
does not know is left out of that member's say, not counted as zero. All return (..., labels) that
sum to 1.

Each runs on the event loop's thread, for all chunks of a batch at once where that can be, and else
on arrays of a few numbers: numpy's NaN-aware functions cost ten times what the arithmetic does
there, hence the plain ones. What a chunk comes to does not depend on those beside it: members are
added up one by one, as numpy adds in another order along an axis of another length.
"""

from __future__ import annotations

from typing import get_args

import numpy as np

from streamproc.serving.ensembling.sorted_sum import sorted_sum
from streamproc.types import FloatArray, Strategy

STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)


def softmax(logits: FloatArray) -> FloatArray:
    """Probabilities over the last axis; an unknown label (NaN) stays NaN and takes no part."""
    # fmax and this sum pass NaN over.
    exponentials = np.exp(logits - np.fmax.reduce(logits, axis=-1, keepdims=True))
    total = _known(exponentials).sum(axis=-1, keepdims=True)
    return np.asarray(exponentials / total)


def combine(strategy: Strategy, logits: FloatArray, weights: FloatArray) -> FloatArray:
    """Combine logits by the strategy of that name."""
    return combine_probabilities(strategy, softmax(logits), weights)


def combine_probabilities(
    strategy: Strategy, probabilities: FloatArray, weights: FloatArray
) -> FloatArray:
    """The same for members whose softmax is known already."""
    if strategy == "mean":
        return combine_mean(probabilities, np.ones_like(weights))
    if strategy in {"weighted", "gated"}:
        return combine_mean(probabilities, weights)
    if strategy == "logit_mean":
        return combine_logits(probabilities, np.ones_like(weights))
    return combine_vote(probabilities)


def combine_mean(probabilities: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted mean of the members' probabilities."""
    return _normalised(mean_of_known(probabilities, weights))


def combine_logits(probabilities: FloatArray, weights: FloatArray) -> FloatArray:
    """Softmax of the weighted mean of the members' log-probabilities.

    Log-probabilities rather than raw logits, whose zero differs from member to member where one
    does not know all labels; for members that know the same ones the result is the same.
    """
    logarithms = np.log(np.maximum(probabilities, 1e-300))
    return _normalised(softmax(mean_of_known(logarithms, weights)))


def combine_vote(probabilities: FloatArray) -> FloatArray:
    """The share of members that hold each label to be the likeliest.

    A tie is told apart by the mean probability, added with a weight too small to overturn a vote.
    """
    known = ~np.isnan(probabilities)
    choice = np.argmax(np.where(known, probabilities, -1.0), axis=-1)
    votes = (choice[..., None] == np.arange(probabilities.shape[-1])).astype(np.float64)
    voters = known.sum(axis=0)
    tally = np.where(voters > 0, votes.sum(axis=0) / np.maximum(voters, 1), 0.0)
    tie_break = combine_mean(probabilities, np.ones(len(probabilities)))
    return _normalised(tally + 1e-6 * tie_break)


def calibrated(probabilities: FloatArray, temperature: float) -> FloatArray:
    """Probabilities made less sure by a temperature above 1, surer by one below; in the same order.

    probabilities: (..., labels)
    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", here of what members say
    together.
    """
    if temperature == 1:
        return probabilities
    return softmax(np.log(np.maximum(probabilities, 1e-300)) / temperature)


def mean_of_known(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted mean over members of what is known; NaN where nobody knows a label.

    Members are added up in one fixed order by magnitude, so that their order makes no difference.
    """
    spread = weights.reshape(*weights.shape, *(1,) * (values.ndim - weights.ndim))
    weighted = values * spread
    unknown = np.isnan(values)
    if not unknown.any():
        return np.asarray(sorted_sum([*weighted]) / sorted_sum([*spread]))
    total = sorted_sum([*np.where(unknown, 0.0, spread)])
    known_sum = sorted_sum([*np.where(unknown, 0.0, weighted)])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(known_sum / total)


def _normalised(values: FloatArray) -> FloatArray:
    filled = _known(values)
    return np.asarray(filled / filled.sum(axis=-1, keepdims=True))


def _known(values: FloatArray) -> FloatArray:
    """Zero where a label is unknown."""
    return np.where(np.isnan(values), 0.0, values)
