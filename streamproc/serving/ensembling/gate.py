"""Gating: how much say each member has on a chunk, by how close that is to what it was trained on.

A chunk is close to a member's part of the corpus when its tokens are frequent there, compared with
the other parts: the evidence of one part against another in naive Bayes. Tokens are there in every
task, looking at them costs nothing, and a chunk's do not depend on what it is batched with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamproc.serving.ensembling.sorted_sum import sorted_sum
from streamproc.types import FloatArray, Int64Array

# A member that is closest to nothing of a chunk keeps a say too small to matter, but not none: it
# may be the only one that is left, or that knows a label.
_LEAST_SHARE = 1e-6


@dataclass(frozen=True, slots=True)
class Gate:
    """evidence: (vocabulary, members) what a token tells for each member's part, in nats
    sharpness: of the softmax over members; 0 gives all the same say
    """

    evidence: FloatArray
    sharpness: float

    def weights(self, ids: Int64Array) -> FloatArray:
        """(members,) positive, summing to 1; ids: (tokens,) of a chunk."""
        closeness = self.evidence[ids].sum(axis=0, keepdims=True) / max(1, len(ids))
        return np.asarray(self.shares(closeness)[0])

    def weights_along(self, ids: Int64Array) -> FloatArray:
        """(tokens, members) the weights after each token, by the tokens up to it."""
        count = np.arange(1, len(ids) + 1)[:, None]
        return self.shares(np.cumsum(self.evidence[ids], axis=0) / count)

    def closeness_after(self, ids: Int64Array) -> Closeness:
        """Mean evidence that follows a text on; ids: (tokens,) what it begins with."""
        return Closeness(self.evidence, ids)

    def shares(self, closeness: FloatArray) -> FloatArray:
        """(rows, members) weights by mean evidence, (rows, members)."""
        scaled = self.sharpness * closeness
        shares = np.exp(scaled - scaled.max(axis=-1, keepdims=True)) + _LEAST_SHARE
        # In order of magnitude, so that the members' order makes no difference.
        return np.asarray(shares / sorted_sum(list(shares.T))[:, None])


class Closeness:
    """The mean evidence of a text that grows, added up token by token."""

    def __init__(self, evidence: FloatArray, ids: Int64Array) -> None:
        self._evidence = evidence
        self._read, self._begun = len(ids), evidence[ids].sum(axis=0)
        self._seen, self._told = 0, self._begun

    def of(self, written: Int64Array) -> FloatArray:
        """(members,) with what was written after the beginning, (tokens,), the last ones new."""
        if len(written) < self._seen:
            self._seen, self._told = 0, self._begun
        for token in written[self._seen :].tolist():
            self._told = self._told + self._evidence[token]
        self._seen = len(written)
        return np.asarray(self._told / max(1, self._read + self._seen))


def evidence(counts: FloatArray) -> FloatArray:
    """What each token tells for each part, as `Gate` takes it.

    counts: (vocabulary, members) how often a token stands in each member's part of the corpus
    One is added to each, so that a token which a part lacks does not rule it out. A token that
    stands in no part tells nothing.
    """
    smoothed = np.log((counts + 1) / (counts + 1).sum(axis=0))
    told = smoothed - smoothed.mean(axis=-1, keepdims=True)
    return np.where(counts.sum(axis=-1, keepdims=True) > 0, told, 0.0)
