"""Ways of combining members: mean of probabilities, mean of logits, weighted, vote.

In all of them `logits` is (members, ..., labels), float64, NaN at a label that a member does not
know; `weights` is (members,), positive. A label that a member does not know is left out of that
member's say, not counted as zero. All return probabilities (..., labels) that sum to 1.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from streamproc.ensembling.labels import FloatArray

Strategy = Literal["mean", "logit_mean", "weighted", "vote"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)


def softmax(logits: FloatArray) -> FloatArray:
    """Probabilities over the last axis; an unknown label (NaN) stays NaN and takes no part."""
    shifted = logits - np.nanmax(logits, axis=-1, keepdims=True)
    exponentials = np.exp(shifted)
    return np.asarray(exponentials / np.nansum(exponentials, axis=-1, keepdims=True))


def combine(strategy: Strategy, logits: FloatArray, weights: FloatArray) -> FloatArray:
    """Combine by the strategy of that name."""
    if strategy == "mean":
        return combine_mean(logits, np.ones_like(weights))
    if strategy == "weighted":
        return combine_mean(logits, weights)
    if strategy == "logit_mean":
        return combine_logits(logits, np.ones_like(weights))
    return combine_vote(logits)


def combine_mean(logits: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted mean of the members' probabilities."""
    return _normalised(_mean_of_known(softmax(logits), weights))


def combine_logits(logits: FloatArray, weights: FloatArray) -> FloatArray:
    """Softmax of the weighted mean of the members' log-probabilities.

    Log-probabilities rather than raw logits, whose zero differs from member to member where one
    does not know all labels; for members that know the same ones the result is the same.
    """
    return _normalised(
        softmax(_mean_of_known(np.log(np.maximum(softmax(logits), 1e-300)), weights))
    )


def combine_vote(logits: FloatArray) -> FloatArray:
    """The share of members that hold each label to be the likeliest.

    A tie is told apart by the mean probability, added with a weight too small to overturn a vote.
    """
    probabilities = softmax(logits)
    known = ~np.isnan(probabilities)
    choice = np.argmax(np.where(known, probabilities, -1.0), axis=-1)
    votes = (choice[..., None] == np.arange(logits.shape[-1])).astype(np.float64)
    voters = known.sum(axis=0)
    tally = np.where(voters > 0, votes.sum(axis=0) / np.maximum(voters, 1), 0.0)
    tie_break = combine_mean(logits, np.ones(len(logits)))
    return _normalised(tally + 1e-6 * tie_break)


def _mean_of_known(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted mean over members of what is known; NaN where nobody knows a label.

    Members are added up in one fixed order by magnitude, so that their order makes no difference.
    """
    spread = weights.reshape(-1, *(1,) * (values.ndim - 1))
    known = ~np.isnan(values)
    weighted = np.sort(np.where(known, values * spread, 0.0), axis=0).sum(axis=0)
    total = np.sort(np.where(known, spread, 0.0), axis=0).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(weighted / total)


def _normalised(values: FloatArray) -> FloatArray:
    filled = np.nan_to_num(values, nan=0.0)
    return np.asarray(filled / filled.sum(axis=-1, keepdims=True))
