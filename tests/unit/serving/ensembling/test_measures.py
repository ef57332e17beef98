from __future__ import annotations

import math

import numpy as np
import pytest

from streamproc.serving.ensembling.measures import agreement, entropy


@pytest.mark.parametrize(
    ("probabilities", "nats"),
    [([1.0, 0.0], 0.0), ([0.5, 0.5], math.log(2)), ([0.25] * 4, math.log(4))],
)
def test_entropy_is_shannons_in_nats(probabilities: list[float], nats: float) -> None:
    assert entropy(np.array(probabilities)) == pytest.approx(nats)


def test_agreement_is_the_share_of_weight_for_the_label() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])

    assert agreement(probabilities, np.ones(3), 0) == pytest.approx(2 / 3)
    assert agreement(probabilities, np.array([1.0, 6.0, 1.0]), 0) == pytest.approx(2 / 8)


def test_a_member_agrees_by_the_labels_it_knows() -> None:
    probabilities = np.array([[np.nan, 0.4, 0.6]])

    assert [agreement(probabilities, np.ones(1), label) for label in range(3)] == [0, 0, 1]
