"""How much an arm differs from its control: plain, and with strata given their weight.

Requests of one key go to one arm together and are alike, so that not the request is the unit but
the key: variances are of the sums over keys (Liang and Zeger 1986), without which a customer with a
thousand requests would pass for a thousand customers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from streamproc.offline.experiments.confidence_sequence import Difference, difference_of
from streamproc.types import BoolArray, FloatArray, Int64Array

MIN_IN_STRATUM: Final = 20
"""Requests of each arm in a stratum of its own; smaller ones are taken together."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What is compared, a row for each request of two arms.

    values: (requests,); are_shares: each is from 0 to 1, as of right and wrong
    units: (requests,) numbers of their keys
    strata: (requests,) numbers of what they are alike in: lane, length
    """

    values: FloatArray
    is_treated: BoolArray
    units: Int64Array
    strata: Int64Array
    are_shares: bool

    def of(self, rows: BoolArray) -> Compared:
        """Some of them."""
        return Compared(
            self.values[rows],
            self.is_treated[rows],
            self.units[rows],
            self.strata[rows],
            self.are_shares,
        )


def plain_difference(compared: Compared, alpha: float) -> Difference | None:
    """The mean of the treated less that of the others; None where one of both has none."""
    nothing = np.zeros(len(compared.values), np.int64)
    return stratified_difference(replace(compared, strata=nothing), alpha)


def stratified_difference(compared: Compared, alpha: float) -> Difference | None:
    """The differences within strata, weighted by how many requests each has in both arms.

    So a mix of lanes or lengths that is not the same in both arms makes no difference of its own.
    None where one of both has no request.
    """
    values, is_treated, units = compared.values, compared.is_treated, compared.units
    arms = is_treated.astype(np.int64)
    if not 0 < arms.sum() < len(arms):
        return None
    strata = pooled(compared.strata, is_treated)
    _, strata = np.unique(strata, return_inverse=True)
    cells = strata * 2 + arms
    counts = np.bincount(cells, minlength=2 * (strata.max() + 1)).astype(np.float64)
    means = np.bincount(cells, values, len(counts)) / counts
    weights = counts.reshape(-1, 2).sum(axis=1) / len(values)
    effects = means[1::2] - means[::2]
    value = float(weights @ effects)
    # How each request moves the estimate, summed by unit.
    influence = (values - means[cells]) * weights[strata] / counts[cells] * np.where(arms, 1, -1)
    _, units = np.unique(units, return_inverse=True)
    variance = _clustered(influence, units) + float(weights @ (effects - value) ** 2) / len(values)
    of_arms = (np.bincount(units, 1 - arms), np.bincount(units, arms))
    sizes = int(np.count_nonzero(of_arms[0])), int(np.count_nonzero(of_arms[1]))
    if compared.are_shares:
        variance = max(variance, _least_variance(values, arms, sizes))
    return difference_of(value, variance, sizes, alpha)


def paired_difference(
    differences: FloatArray, units: Int64Array, alpha: float
) -> Difference | None:
    """The mean of differences between two answers to the same request, (requests,)."""
    if not len(differences):
        return None
    value = float(differences.mean())
    _, units = np.unique(units, return_inverse=True)
    variance = _clustered((differences - value) / len(differences), units)
    size = int(units.max()) + 1
    # Where the two have never differed, they may yet: as if they had, once each way.
    variance = max(variance, 2 / (size + 2) ** 2)
    return difference_of(value, variance, (size, size), alpha)


def pooled(strata: Int64Array, is_treated: BoolArray) -> Int64Array:
    """Strata of which both arms have enough requests; small ones are taken together.

    Where that is still too little, they are taken together with the largest; so both arms have
    requests in each stratum, as long as they have any.
    """
    _, codes = np.unique(strata, return_inverse=True)
    counts = np.zeros((int(codes.max(initial=0)) + 1, 2), np.int64)
    np.add.at(counts, (codes, is_treated.astype(np.int64)), 1)
    is_small = counts.min(axis=1) < MIN_IN_STRATUM
    joined = np.arange(len(counts))
    joined[is_small] = len(counts)
    if is_small.any() and counts[is_small].sum(axis=0).min() < MIN_IN_STRATUM:
        joined[is_small] = np.where(is_small, -1, counts.sum(axis=1)).argmax()
    return np.asarray(joined[codes], np.int64)


def _clustered(influence: FloatArray, units: Int64Array) -> float:
    """The variance of a sum of influences; units: numbered from 0 on, (requests,)"""
    sums = np.bincount(units, influence)
    return float(sums @ sums) * len(sums) / max(1, len(sums) - 1)


def _least_variance(values: FloatArray, arms: Int64Array, sizes: tuple[int, int]) -> float:
    """That of two shares if each arm had had one hit and one miss more.

    Of rare things, an arm that has seen none yet would pass for one that never has any.
    """
    total = 0.0
    for arm, size in enumerate(sizes):
        share = (values[arms == arm].mean() * size + 1) / (size + 2)
        total += share * (1 - share) / size
    return float(total)
