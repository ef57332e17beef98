"""How far a figure may be trusted: bootstrap intervals, over records drawn with replacement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamproc.types import FloatArray

DRAWS = 1000
CONFIDENCE = 0.95
# Rows of counts that are floats at a time.
_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its interval, which contains it; NaN where it is undefined."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, drawn: FloatArray) -> Estimate:
        """By percentiles of the figure over draws, (draws,).

        Resampling makes some figures worse (it always adds calibration error), so the interval is
        widened to the figure where it lies outside.
        """
        known = drawn[~np.isnan(drawn)]
        if np.isnan(value) or not len(known):
            return cls(value, np.nan, np.nan)
        low, high = np.quantile(known, ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))
        return cls(value, min(float(low), value), max(float(high), value))

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


class Resamples:
    """The same draws for whatever is measured on the same records, so that differences are paired.

    times: (draws, records) how often each draw has each record
    """

    def __init__(self, records: int, draws: int = DRAWS, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.times: NDArray[np.uint16] = np.empty((draws, records), np.uint16)
        for draw in self.times:
            draw[:] = np.bincount(random.integers(records, size=records), minlength=records)

    def sums(self, statistics: FloatArray) -> FloatArray:
        """(draws, statistics) sums over each draw's records; statistics: (records, statistics)."""
        parts = range(0, len(self.times), _AT_ONCE)
        return np.concatenate(
            [
                self.times[first : first + _AT_ONCE].astype(np.float64) @ statistics
                for first in parts
            ]
        )
