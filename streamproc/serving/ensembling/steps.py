"""Combining what members say of the next token, over a whole vocabulary at every step.

The same means as `combine.py`'s, without labels that a member may not know: members of an ensemble
that decodes share a vocabulary. A step is combined for every token that is written, hence a way of
adding members in sorted order that costs a few passes instead of a sort.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from streamproc.serving.ensembling.sorted_sum import sorted_sum
from streamproc.types import BoolArray, FloatArray

StepStrategy = Literal["mean", "logit_mean", "weighted", "gated"]
STEP_STRATEGIES: tuple[StepStrategy, ...] = get_args(StepStrategy)


@dataclass(frozen=True, slots=True)
class CombinedStep:
    """What members, combined, say of the next token of each row.

    log_probabilities: (rows, vocabulary)
    log_normaliser:    (rows,) what to add for logits of the members' scale: their mean logits'
    entropy:           (rows,) in nats
    agreement:         (rows,) share of the weight whose likeliest token is the combined one's
    agreeing:          (members, rows) whether a member's likeliest token is
    """

    log_probabilities: FloatArray
    log_normaliser: FloatArray
    entropy: FloatArray
    agreement: FloatArray
    agreeing: BoolArray


def combine_step(strategy: StepStrategy, logits: FloatArray, weights: FloatArray) -> CombinedStep:
    """logits: (members, rows, vocabulary), finite
    weights: (members,) or (members, rows), positive, each one's say when `weighted` or `gated`
    """
    if strategy not in {"weighted", "gated"}:
        weights = np.ones_like(weights)
    spread = np.broadcast_to(weights if weights.ndim == 2 else weights[:, None], logits.shape[:2])
    shares = spread / sorted_sum(list(spread))
    normalisers = _log_sum_exp(logits)
    own = logits - normalisers[..., None]
    log_normaliser = sorted_sum(
        [share * row for share, row in zip(shares, normalisers, strict=True)]
    )
    if len(own) == 1:
        combined = own[0]
    elif strategy == "logit_mean":
        mean = sorted_sum(
            [share[:, None] * member for share, member in zip(shares, own, strict=True)]
        )
        excess = _log_sum_exp(mean)
        combined, log_normaliser = mean - excess[..., None], log_normaliser + excess
    else:
        mean = sorted_sum(
            [share[:, None] * np.exp(member) for share, member in zip(shares, own, strict=True)]
        )
        combined = np.log(np.maximum(mean, 1e-300))
    probabilities = np.exp(combined)
    agreeing = own.argmax(axis=-1) == combined.argmax(axis=-1)
    return CombinedStep(
        combined,
        log_normaliser,
        np.maximum(0.0, -(probabilities * combined).sum(axis=-1)),
        sorted_sum(list(shares * agreeing)),
        agreeing,
    )


def _log_sum_exp(values: FloatArray) -> FloatArray:
    highest = values.max(axis=-1)
    return np.asarray(highest + np.log(np.exp(values - highest[..., None]).sum(axis=-1)))
