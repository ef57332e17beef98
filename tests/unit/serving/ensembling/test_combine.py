from __future__ import annotations

import numpy as np
import pytest

from streamproc.serving.ensembling.combine import STRATEGIES, combine, softmax
from streamproc.types import FloatArray, Strategy

NAN = float("nan")


def voice(*probabilities: float) -> list[float]:
    """Logits of these probabilities; None of them known where NaN."""
    return [float(np.log(p)) for p in probabilities]


def combined(
    strategy: Strategy, *members: list[float], weights: list[float] | None = None
) -> FloatArray:
    return combine(strategy, np.array(members), np.array(weights or [1.0] * len(members)))


def test_mean_is_the_mean_of_probabilities() -> None:
    assert combined("mean", voice(0.9, 0.1), voice(0.2, 0.8)) == pytest.approx([0.55, 0.45])


def test_logit_mean_is_the_normalised_geometric_mean() -> None:
    together = combined("logit_mean", voice(0.9, 0.1), voice(0.2, 0.8))

    expected = np.sqrt([0.9 * 0.2, 0.1 * 0.8])
    assert together == pytest.approx(expected / expected.sum())


def test_weighted_gives_members_their_say() -> None:
    together = combined("weighted", voice(0.9, 0.1), voice(0.2, 0.8), weights=[3, 1])

    assert together == pytest.approx([(3 * 0.9 + 0.2) / 4, (3 * 0.1 + 0.8) / 4])


def test_vote_is_the_share_of_members() -> None:
    together = combined("vote", voice(0.99, 0.01), voice(0.4, 0.6), voice(0.45, 0.55))

    assert together == pytest.approx([1 / 3, 2 / 3], abs=1e-5)


def test_a_tied_vote_goes_to_the_likelier() -> None:
    together = combined("vote", voice(0.9, 0.1), voice(0.4, 0.6))

    assert together[0] > together[1]
    assert together == pytest.approx([0.5, 0.5], abs=1e-5)


def test_a_label_a_member_does_not_know_is_left_out_rather_than_zero() -> None:
    # The second member never saw the third label: of it the first member's say alone counts.
    together = combined("mean", voice(0.2, 0.2, 0.6), [*voice(0.5, 0.5), NAN])

    expected = np.array([0.35, 0.35, 0.6])
    assert together == pytest.approx(expected / expected.sum())


def test_a_vote_counts_only_those_who_know_the_label() -> None:
    together = combined("vote", voice(0.1, 0.1, 0.8), [*voice(0.6, 0.4), NAN], voice(0.5, 0.4, 0.1))

    expected = np.array([2 / 3, 0, 1 / 2])
    assert together == pytest.approx(expected / expected.sum(), abs=1e-5)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_label_that_nobody_knows_is_never_the_answer(strategy: Strategy) -> None:
    together = combined(strategy, [*voice(0.7, 0.3), NAN], [*voice(0.6, 0.4), NAN])

    assert together[2] == 0
    assert together.sum() == pytest.approx(1)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_extreme_logits_stay_finite(strategy: Strategy) -> None:
    together = combined(strategy, [1e4, -1e4], [-1e4, 1e4], [1e4, -1e4])

    assert np.isfinite(together).all()
    assert together.sum() == pytest.approx(1)


def test_softmax_is_that_of_the_known_labels() -> None:
    probabilities = softmax(np.array([0.0, np.log(3), NAN]))

    assert probabilities[:2] == pytest.approx([0.25, 0.75])
    assert np.isnan(probabilities[2])
