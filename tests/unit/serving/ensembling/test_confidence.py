from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.serving.ensembling.confidence import IDENTITY, Confidence

SCORES = st.floats(0, 3)
CONFIDENCES = st.builds(Confidence, st.floats(0.05, 20), st.floats(-20, 20))


@given(SCORES)
def test_without_one_a_score_stays_as_it_is(score: float) -> None:
    assert IDENTITY.of(score) == score


def test_it_moves_the_logit_of_a_score() -> None:
    found = Confidence(2.0, -1.0).of(0.8)

    assert found == pytest.approx(1 / (1 + math.exp(-(2 * math.log(0.8 / 0.2) - 1))))


@given(CONFIDENCES, SCORES, SCORES)
def test_scores_stay_in_their_order_and_become_probabilities(
    confidence: Confidence, one: float, other: float
) -> None:
    low, high = sorted((one, other))

    assert 0 <= confidence.of(low) <= confidence.of(high) <= 1
