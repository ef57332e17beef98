"""Intervals that hold at every look, so that looking early and often is not cheating.

The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024),
"Time-uniform central limit theory and asymptotic confidence sequences", Annals of Statistics,
theorem 2.2: Robbins' normal mixture around a mean whose variance is estimated. With the stated
probability the true value is in *all* of the intervals, from the first look to the last, however
many there are and whenever one stops. It is asymptotic in the first look, so that nothing is
decided before `MIN_UNITS` of each arm. Its inversion is the always-valid p-value of the mixture
sequential probability ratio test (Johari, Koomen, Pekelis and Walsh 2022).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from streamproc.types import FloatArray

ALPHA: Final = 0.05
MIN_UNITS: Final = 100
"""Units of each arm before anything is decided."""
TIGHTEST_AT: Final = 1_000
"""Units, of both arms, at which intervals are the narrowest for what is known; settled beforehand,
as a choice by what was seen would be cheating. A factor of ten away they are a tenth wider."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How much more an arm has of something than its control.

    low, high: of the confidence sequence; p: the smallest error rate at which it leaves out zero
    units: keys that it was computed of, in both arms
    is_enough: whether each arm has as many as are needed to decide
    """

    value: float
    low: float
    high: float
    p: float
    units: int
    is_enough: bool

    @property
    def is_decided(self) -> bool:
        """Whether there is a difference, at the stated error rate."""
        return self.is_enough and (self.low > 0 or self.high < 0)


def difference_of(
    value: float, variance: float, units: tuple[int, int], alpha: float
) -> Difference:
    """An estimate with its confidence sequence; units: of each arm."""
    both = sum(units)
    half = float(half_width(np.array([variance]), np.array([float(both)]), alpha)[0])
    p = always_valid_p(value, variance, both, alpha)
    return Difference(value, value - half, value + half, p, both, min(units) >= MIN_UNITS)


def half_width(variance: FloatArray, units: FloatArray, alpha: float) -> FloatArray:
    """Half of the width of the interval of a look.

    variance: of the estimate, (looks,); units: that it was computed of, (looks,)
    """
    mixed = units * _rho_squared(alpha)
    spread = 2 * (mixed + 1) / mixed * np.log(np.sqrt(mixed + 1) / alpha)
    return np.asarray(np.sqrt(variance * spread), np.float64)


def always_valid_p(value: float, variance: float, units: int, alpha: float) -> float:
    """The smallest error rate whose confidence sequence leaves out zero.

    alpha: that the mixture was chosen for, which stays the same for all
    """
    if variance <= 0:
        return 0.0 if value else 1.0
    mixed = units * _rho_squared(alpha)
    log_p = 0.5 * math.log(mixed + 1) - value**2 / variance * mixed / (2 * (mixed + 1))
    return math.exp(min(0.0, log_p))


def _rho_squared(alpha: float) -> float:
    """The mixture's variance that makes it narrowest at `TIGHTEST_AT` (the same paper, B.1)."""
    twice = -2 * math.log(alpha)
    return (twice + math.log(twice) + 1) / TIGHTEST_AT
