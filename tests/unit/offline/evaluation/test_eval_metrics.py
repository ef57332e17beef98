from __future__ import annotations

import numpy as np
import pytest

from streamproc.offline.evaluation.eval_metrics import (
    Metric,
    calibration_error,
    calibration_statistics,
    f1,
    macro_f1,
    perplexity,
    ratio,
)


def of_sums(values: list[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array(values, np.float64)


def test_a_share_of_nothing_is_undefined() -> None:
    assert ratio(of_sums([3, 4])) == 0.75
    assert np.isnan(ratio(of_sums([0, 0])))


def test_f1_is_the_harmonic_mean_of_precision_and_recall() -> None:
    # 3 right of 4 said, of 6 to be said: precision 3/4, recall 1/2.
    assert f1(of_sums([3, 4, 6])) == pytest.approx(0.6)
    assert np.isnan(f1(of_sums([0, 0, 0])))


def test_macro_f1_leaves_out_a_label_that_nobody_has() -> None:
    # Label a: 2 right of 2 said of 4; label b: 1 right of 2 said of 2; label c: nowhere.
    assert macro_f1(of_sums([2, 1, 0, 2, 2, 0, 4, 2, 0])) == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_calibration_error_is_the_mean_distance_of_confidence_from_truth() -> None:
    # Bins of fifteenths: 0.95 and 0.97 share one, half of it right; 0.5 is right alone.
    confidence, right = np.array([0.95, 0.97, 0.5]), np.array([True, False, True])
    metric = Metric("calibration error", calibration_error)
    found = metric.value(calibration_statistics(confidence, right))
    assert found == pytest.approx((abs(0.95 + 0.97 - 1) + abs(0.5 - 1)) / 3)


def test_the_ends_of_confidence_lie_in_the_outer_bins() -> None:
    found = calibration_statistics(np.array([0.0, 1 / 15, 1.0]), np.array([False, True, True]))
    assert found[:, :15].argmax(axis=1).tolist() == [0, 0, 14]


def test_perplexity_of_even_odds_is_their_number() -> None:
    assert perplexity(of_sums([3 * np.log(4), 3])) == pytest.approx(4)
