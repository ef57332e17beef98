"""Whose choices were the ensemble's too, counted where members are combined."""

from __future__ import annotations

import numpy as np
import pytest

from streamproc.serving.ensembling.heads import HEADS
from streamproc.serving.ensembling.steps import combine_step


def test_the_likeliest_label_counts_and_an_unknown_one_does_not() -> None:
    scores = np.array([[[0.9, 0.1], [0.6, 0.4]], [[np.nan, 1.0], [np.nan, 1.0]]])
    combined = np.array([[0.8, 0.2], [0.3, 0.7]])
    found = HEADS["single_label_classification"].agreeing(scores, combined)
    assert found is not None
    assert found.tolist() == [[True, False], [False, True]]


def test_labels_that_do_not_exclude_each_other_are_choices_each() -> None:
    scores = np.array([[0.9, 0.2, 0.4], [0.1, 0.7, 0.3]])
    found = HEADS["multi_label_classification"].agreeing(scores, np.array([0.6, 0.1, 0.4]))
    assert found is not None
    assert found.tolist() == [[True, True, True], [False, False, True]]


def test_of_numbers_there_is_nothing_to_choose() -> None:
    assert HEADS["regression"].agreeing(np.array([[1.0]]), np.array([1.0])) is None


@pytest.mark.parametrize("strategy", ["mean", "logit_mean"])
def test_the_likeliest_next_token_of_each_row_counts(strategy: str) -> None:
    logits = np.array([[[9.0, 0.0], [0.0, 5.0]], [[0.0, 1.0], [0.0, 3.0]]])
    step = combine_step(strategy, logits, np.ones((2, 1)))  # type: ignore[arg-type]
    assert step.agreeing.tolist() == [[True, True], [False, True]]
