"""Changing the odds of the next token, as transformers' logits processors of the same names do.

`logits` are (vocabulary,) float64; what may not come next has minus infinity. None changes its
argument.
"""

from __future__ import annotations

import numpy as np

from streamproc.decoding.model import FloatArray, Int64Array


def repetition_penalty(logits: FloatArray, history: Int64Array, penalty: float) -> FloatArray:
    """Divide the positive logits of tokens that were read or written, multiply the negative ones.

    Source: Keskar et al. 2019, CTRL, and transformers' RepetitionPenaltyLogitsProcessor.
    """
    seen = np.unique(history)
    changed = logits.copy()
    before = logits[seen]
    changed[seen] = np.where(before < 0, before * penalty, before / penalty)
    return changed


def top_k(logits: FloatArray, k: int) -> FloatArray:
    """Keep the k likeliest tokens, and those as likely as the last of them."""
    if k >= len(logits):
        return logits
    return np.where(logits < np.partition(logits, -k)[-k], -np.inf, logits)


def top_p(logits: FloatArray, p: float) -> FloatArray:
    """Keep the fewest likeliest tokens whose probabilities sum to at least p.

    Source: Holtzman et al. 2019, and transformers' TopPLogitsWarper: from the least likely up,
    tokens are left out as long as they sum to 1 - p at most; the likeliest is always kept.
    """
    possible = np.flatnonzero(logits > -np.inf)
    ascending = possible[np.argsort(logits[possible], kind="stable")]
    left_out = np.cumsum(probabilities(logits[ascending])) <= 1 - p
    left_out[-1] = False
    changed = logits.copy()
    changed[ascending[left_out]] = -np.inf
    return changed


def probabilities(logits: FloatArray) -> FloatArray:
    """Softmax; zero at minus infinity."""
    exponentials = np.exp(logits - logits.max())
    return np.asarray(exponentials / exponentials.sum())
