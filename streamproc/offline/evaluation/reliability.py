"""Confidence beside correctness, in bins: what a reliability diagram shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamproc.offline.evaluation.eval_metrics import CALIBRATION_BINS
from streamproc.types import FloatArray


@dataclass(frozen=True, slots=True)
class Reliability:
    """Bins of equal width that hold anything, (bins,) each.

    count:      how many there are in each
    confidence: their mean
    right:      what share of them is right
    """

    count: NDArray[np.int64]
    confidence: FloatArray
    right: FloatArray

    @classmethod
    def of(cls, statistics: FloatArray) -> Reliability:
        """statistics: (records, 3 * bins), as `calibration_statistics` has them."""
        count, confidence, right = statistics.sum(axis=0).reshape(3, CALIBRATION_BINS)
        held = count > 0
        count, confidence, right = count[held], confidence[held], right[held]
        return cls(count.round().astype(np.int64), confidence / count, right / count)
