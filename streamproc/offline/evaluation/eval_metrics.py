"""Metrics as functions of sums over records, so that resampled records cost one product each.

Every record comes to a few numbers, its statistics; a metric is reckoned from their sums over any
records. Undefined ones, as a share of nothing, are NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamproc.types import FloatArray

OfSums = Callable[[FloatArray], FloatArray]
"""(..., statistics) sums over records to (...) values."""

CALIBRATION_BINS = 15


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric; per_cent: shown times a hundred; unit: of what is shown."""

    name: str
    of_sums: OfSums
    higher_is_better: bool = True
    per_cent: bool = True
    unit: str = "%"

    def value(self, statistics: FloatArray) -> float:
        """Of all records; statistics: (records, statistics)."""
        return float(self.of_sums(statistics.sum(axis=0)[None])[0])


def ratio(sums: FloatArray) -> FloatArray:
    """(..., 2) what was reached, and what could be."""
    return _divided(sums[..., 0], sums[..., 1])


def f1(sums: FloatArray) -> FloatArray:
    """(..., 3) how many were right, said, and to be said."""
    return _divided(2 * sums[..., 0], sums[..., 1] + sums[..., 2])


def macro_f1(sums: FloatArray) -> FloatArray:
    """(..., 3 * labels) as for `f1`, all labels' right ones first; the mean over labels that were
    said or to be said, as scikit-learn has it."""
    by_label = f1(np.moveaxis(_in_threes(sums), -2, -1))
    there = ~np.isnan(by_label)
    return _divided(np.where(there, by_label, 0.0).sum(axis=-1), there.sum(axis=-1))


def calibration_error(sums: FloatArray) -> FloatArray:
    """(..., 3 * bins) records in each bin of confidence, the sum of their confidence, and how many
    are right; expected calibration error as Guo and others (2017) define it."""
    count, confidence, right = np.moveaxis(_in_threes(sums), -2, 0)
    return _divided(np.abs(confidence - right).sum(axis=-1), count.sum(axis=-1))


def calibration_statistics(confidence: FloatArray, right: NDArray[np.bool_]) -> FloatArray:
    """(records, 3 * bins) for `calibration_error`; confidence: (records,) from 0 to 1."""
    bins = np.ceil(confidence * CALIBRATION_BINS).astype(np.intp) - 1
    mine = np.clip(bins, 0, CALIBRATION_BINS - 1)[:, None] == np.arange(CALIBRATION_BINS)
    return np.concatenate((mine, mine * confidence[:, None], mine * right[:, None]), axis=1)


def summed_by_record(statistics: FloatArray, record: NDArray[np.intp], records: int) -> FloatArray:
    """(records, statistics) what all items of each record come to.

    statistics: (items, statistics); record: (items,) the number of the record that has each
    """
    sums = np.zeros((records, statistics.shape[1]))
    np.add.at(sums, record, statistics)
    return sums


def perplexity(sums: FloatArray) -> FloatArray:
    """(..., 2) negative log-likelihood in nats, and tokens."""
    return np.exp(ratio(sums))


CALIBRATION = Metric("calibration error", calibration_error, higher_is_better=False)


def _in_threes(sums: FloatArray) -> FloatArray:
    return sums.reshape(*sums.shape[:-1], 3, -1)


def _divided(part: FloatArray, whole: FloatArray | NDArray[np.int64]) -> FloatArray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(whole > 0, part / whole, np.nan))
