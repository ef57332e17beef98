from __future__ import annotations

import numpy as np
import pytest

from streamproc.offline.evaluation.confidence_fit import LEAST_SCORES, fit_confidence
from streamproc.offline.evaluation.eval_metrics import CALIBRATION, calibration_statistics
from streamproc.serving.ensembling.confidence import IDENTITY
from streamproc.types import BoolArray, FloatArray

COUNT = 20_000


def judged(slope: float, offset: float, count: int = COUNT) -> tuple[FloatArray, BoolArray]:
    """Scores, and whether each is right where sigmoid(slope * logit + offset) says how often."""
    draw = np.random.default_rng(7)
    logits = draw.normal(0.5, 2.0, count)
    right = draw.random(count) < 1 / (1 + np.exp(-(slope * logits + offset)))
    return 1 / (1 + np.exp(-logits)), right


def error(scores: FloatArray, right: BoolArray) -> float:
    return CALIBRATION.value(calibration_statistics(scores, right))


@pytest.mark.parametrize(("slope", "offset"), [(0.5, -0.3), (1.0, 0.0), (2.0, 1.0), (0.2, -2.0)])
def test_it_finds_how_often_scores_are_right(slope: float, offset: float) -> None:
    scores, right = judged(slope, offset)

    found = fit_confidence(scores, right)

    assert found.slope == pytest.approx(slope, rel=0.1)
    assert found.offset == pytest.approx(offset, abs=0.1)
    moved = np.array([found.of(score) for score in scores])
    assert error(moved, right) < 0.015


@pytest.mark.parametrize("right", [True, False])
def test_what_is_all_right_or_all_wrong_says_nothing(right: bool) -> None:
    scores, _ = judged(1, 0)

    assert fit_confidence(scores, np.full(COUNT, right)) == IDENTITY


def test_few_scores_say_nothing() -> None:
    scores, right = judged(2, 1, LEAST_SCORES - 1)

    assert right.any()
    assert not right.all()
    assert fit_confidence(scores, right) == IDENTITY


def test_scores_that_are_the_wrong_way_round_are_left_as_they_are() -> None:
    scores, right = judged(1, 0)

    assert fit_confidence(1 - scores, right) == IDENTITY


def test_scores_of_0_and_1_are_no_trouble() -> None:
    scores, right = judged(1, 0)
    certain = np.concatenate((scores, [0.0, 1.0, 1.0]))

    found = fit_confidence(certain, np.concatenate((right, [False, True, False])))

    assert found.slope == pytest.approx(1, abs=0.1)


def test_it_is_found_where_nearly_all_are_sure_and_right() -> None:
    # Most scores are 1 when they are written with two digits.
    draw = np.random.default_rng(7)
    scores = np.where(draw.random(500) < 0.95, 1.0, np.round(draw.random(500), 2))
    right = draw.random(500) < np.where(scores == 1, 0.99, scores)

    found = fit_confidence(scores, right)

    assert found != IDENTITY
    moved = np.array([found.of(score) for score in scores])
    assert error(moved, right) < error(scores, right)
