"""Leaving out unlikely tokens before one is drawn, as transformers' warpers of the same names do.

`logits` are (vocabulary,) float64; what may not come next has minus infinity. None changes its
argument.
"""

from __future__ import annotations

import numpy as np

from streamproc.types import FloatArray


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


def min_p(logits: FloatArray, p: float) -> FloatArray:
    """Keep tokens that are at least p times as likely as the likeliest."""
    odds = probabilities(logits)
    return np.where(odds < p * odds.max(), -np.inf, logits)


def typical_p(logits: FloatArray, p: float) -> FloatArray:
    """Keep the tokens whose surprise is nearest to what is expected, until they sum to p.

    Source: Meister et al. 2022, Locally Typical Sampling, and transformers' TypicalLogitsWarper.
    """
    odds = probabilities(logits)
    possible = np.flatnonzero(odds > 0)
    surprise = -np.log(odds[possible])
    off = np.abs(surprise - (odds[possible] * surprise).sum())
    nearest = np.argsort(off, kind="stable")
    last = min(int((np.cumsum(odds[possible][nearest]) < p).sum()), len(possible) - 1)
    left_out = off > off[nearest[last]]
    left_out[nearest[0]] = False
    changed = np.full_like(logits, -np.inf)
    kept = possible[~left_out]
    changed[kept] = logits[kept]
    return changed


def epsilon_cutoff(logits: FloatArray, epsilon: float) -> FloatArray:
    """Keep tokens of at least this probability, and the likeliest.

    Source: Hewitt et al. 2022, Truncation Sampling as Language Model Desmoothing.
    """
    return np.where((probabilities(logits) < epsilon) & (logits < logits.max()), -np.inf, logits)


def eta_cutoff(logits: FloatArray, epsilon: float) -> FloatArray:
    """The same with a cutoff that sinks where the odds are even; source: the same."""
    odds = probabilities(logits)
    possible = odds[odds > 0]
    entropy = -(possible * np.log(possible)).sum()
    return epsilon_cutoff(logits, float(min(epsilon, np.sqrt(epsilon) * np.exp(-entropy))))


def probabilities(logits: FloatArray) -> FloatArray:
    """Softmax; zero at minus infinity."""
    exponentials = np.exp(logits - logits.max())
    return np.asarray(exponentials / exponentials.sum())
