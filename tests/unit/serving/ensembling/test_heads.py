"""What heads make of members' logits: a probability for each label, or numbers as they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from streamproc.serving.ensembling.combine import STRATEGIES
from streamproc.serving.ensembling.heads import HEADS, logits_of, sigmoid
from streamproc.serving.ensembling.measures import separate_agreement, separate_entropy, spreads
from streamproc.types import FloatArray, Strategy

SEPARATE, NUMBERS = HEADS["multi_label_classification"], HEADS["regression"]
LOGITS = arrays(np.float64, (3, 4), elements=st.floats(-50, 50))
WEIGHTS = arrays(np.float64, (3,), elements=st.floats(0.1, 5))


@given(LOGITS)
def test_the_sigmoid_is_transformers_and_its_inverse_gives_the_logits_back(
    logits: FloatArray,
) -> None:
    probabilities = sigmoid(logits)

    with np.errstate(over="ignore"):
        assert probabilities == pytest.approx(1 / (1 + np.exp(-logits)), abs=1e-12)
    held = np.abs(logits) < 15
    assert logits_of(probabilities)[held] == pytest.approx(logits[held], abs=1e-6)


@given(LOGITS, WEIGHTS, st.sampled_from(STRATEGIES), st.permutations(range(3)))
def test_separate_labels_get_a_probability_each_whatever_the_order_of_members(
    logits: FloatArray, weights: FloatArray, strategy: Strategy, order: list[int]
) -> None:
    found = SEPARATE.combine(strategy, SEPARATE.scores(logits), weights)
    other = SEPARATE.combine(strategy, SEPARATE.scores(logits[order]), weights[order])

    assert found.shape == (4,)
    assert ((found >= 0) & (found <= 1)).all()
    assert np.array_equal(found, other)


@given(LOGITS, WEIGHTS, st.sampled_from(STRATEGIES))
def test_what_a_member_says_of_one_label_changes_no_other_label(
    logits: FloatArray, weights: FloatArray, strategy: Strategy
) -> None:
    changed = logits.copy()
    changed[0, 0] = -changed[0, 0] - 1

    found = SEPARATE.combine(strategy, SEPARATE.scores(logits), weights)
    other = SEPARATE.combine(strategy, SEPARATE.scores(changed), weights)

    assert np.array_equal(found[1:], other[1:])


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("mean", [0.5, 0.4, 0.0]),
        ("weighted", [0.375, 0.4, 0.0]),
        ("logit_mean", [0.5, 0.4, 0.0]),
        ("vote", [0.5, 0.0, 0.0]),
    ],
)
def test_a_label_that_a_member_does_not_know_is_left_out_of_its_say(
    strategy: Strategy, expected: list[float]
) -> None:
    nan = np.nan
    scores = np.array([[0.25, nan, nan], [0.75, 0.4, nan]])

    found = SEPARATE.combine(strategy, scores, np.array([3.0, 1.0]))

    assert found == pytest.approx(np.array(expected), abs=1e-5)


def test_an_even_vote_is_told_by_the_mean_probability() -> None:
    scores = np.array([[0.9, 0.6], [0.3, 0.2]])

    found = SEPARATE.combine("vote", scores, np.ones(2))

    assert found[0] >= 0.5 > found[1]
    assert found == pytest.approx(np.array([0.5, 0.5]), abs=1e-5)


def test_a_temperature_makes_probabilities_less_sure_and_keeps_their_sides() -> None:
    combined = np.array([0.2, 0.5, 0.9, 1.0])

    cooler = SEPARATE.calibrated(combined, 2.0)

    assert np.array_equal(SEPARATE.calibrated(combined, 1.0), combined)
    assert (cooler < combined)[[2, 3]].all()
    assert combined[0] < cooler[0] < cooler[1] == 0.5 < cooler[2] < cooler[3]
    assert 0 <= SEPARATE.calibrated(np.array([0.0]), 0.5)[0] < 1e-9


def test_numbers_stay_as_they_are_and_are_averaged() -> None:
    values = np.array([[1.0, -200.0], [4.0, 100.0]])

    assert np.array_equal(NUMBERS.scores(values), values)
    assert NUMBERS.combine("mean", values, np.array([3.0, 1.0])) == pytest.approx([2.5, -50])
    assert NUMBERS.combine("weighted", values, np.array([3.0, 1.0])) == pytest.approx([1.75, -125])
    assert set(NUMBERS.strategies) == {"mean", "weighted", "gated"}


def test_agreement_counts_each_label_among_the_members_that_know_it() -> None:
    members = np.array([[0.9, 0.1, np.nan], [0.2, 0.3, 0.8], [0.7, 0.6, np.nan]])
    combined = np.array([0.6, 0.3, 0.8])

    found = separate_agreement(members, np.array([1.0, 1.0, 2.0]), combined, 0.5)

    assert found == pytest.approx((3 / 4 + 2 / 4 + 1) / 3)


def test_entropy_is_the_mean_over_labels() -> None:
    assert separate_entropy(np.array([0.5, 0.5])) == pytest.approx(np.log(2))
    assert separate_entropy(np.array([0.0, 1.0, 0.5])) == pytest.approx(np.log(2) / 3)


@given(LOGITS, WEIGHTS, st.permutations(range(3)))
def test_spread_is_a_weighted_standard_deviation_in_any_order(
    values: FloatArray, weights: FloatArray, order: list[int]
) -> None:
    found = spreads(values, weights)

    mean = np.average(values, axis=0, weights=weights)
    expected = np.sqrt(np.average((values - mean) ** 2, axis=0, weights=weights))
    assert found == pytest.approx(expected, abs=1e-9)
    assert np.array_equal(found, spreads(values[order], weights[order]))
    assert np.array_equal(spreads(values[:1], weights[:1]), np.zeros(4))
