"""Exposures joined with the truth: by id, whatever order both came in."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from streamproc.messages.exposure import FAILED_OVER, NOT_SERVED, Exposure
from streamproc.offline.experiments.observations import Observations
from tests.support.experiments import STARTED_MS, arm, experiment, exposure, feedback, observed

OWN = experiment(arm("1"), arm("2"), arm("3", 0.5, is_shadow=True))


def values(found: Observations) -> list[float]:
    return [float(one) for one in found.values]


def test_the_first_exposure_of_a_request_counts_in_whatever_order_they_are_read() -> None:
    first = exposure(1, "1", at_ms=STARTED_MS + 1, label="positive")
    again = exposure(1, "1", at_ms=STARTED_MS + 9, label="negative")
    other_arm = exposure(1, "2", at_ms=STARTED_MS + 20)
    orders: list[Sequence[Exposure]] = list(itertools.permutations([first, again, other_arm]))
    for order in orders:
        found = observed(OWN, order, feedback({"id": "1", "label": "positive"}))
        assert found.arms.tolist() == [0]
        assert values(found) == [1.0]


def test_the_last_feedback_of_an_id_counts() -> None:
    said = feedback({"id": "1", "correct": True}, {"id": "1", "correct": False})
    assert values(observed(OWN, [exposure(1)], said)) == [0.0]


def test_feedback_without_an_exposure_and_labels_without_one_to_compare_are_counted() -> None:
    said = feedback(
        {"id": "1", "label": "positive"},
        {"id": "2", "label": "positive"},
        {"id": "9", "label": "positive"},
    )
    found = observed(OWN, [exposure(1, label=None), exposure(2)], said)
    counts = found.feedback
    assert (counts.ids, counts.joined, counts.unexposed, counts.not_compared) == (3, 2, 1, 1)
    assert values(found)[1] == 1.0
    assert np.isnan(values(found)[0])


def test_an_answer_that_did_not_come_is_wrong_whatever_is_said_of_it() -> None:
    said = feedback({"id": "1", "correct": True}, {"id": "2", "correct": True})
    failed = exposure(1, status="error", error="deadline", label=None)
    stood_in = exposure(2, "2", status="error", error=FAILED_OVER, label=None)
    found = observed(OWN, [failed, stood_in], said)
    assert values(found)[0] == 0.0
    # What the version that serves said in its place is not the arm's.
    assert np.isnan(values(found)[1])
    assert found.errors.tolist() == [True, True]
    assert found.types["tiny@2"][FAILED_OVER] == 1
    assert np.isnan(found.log_ms).all()


def test_what_the_control_answered_as_an_arm_was_not_loaded_is_in_no_figure() -> None:
    found = observed(OWN, [exposure(1, "2", status="error", error=NOT_SERVED), exposure(2)])
    assert found.arms.tolist() == [0]
    assert found.not_served == {"tiny@2": 1}


@pytest.mark.parametrize(
    "changes",
    [
        {"group": "other"},
        {"experiment": "other"},
        {"started_ms": STARTED_MS - 1},
        {"arm": "tiny@9"},
    ],
)
def test_exposures_of_others_are_passed_over(changes: dict[str, Any]) -> None:
    assert len(observed(OWN, [exposure(1, **changes)])) == 0


def test_a_shadow_has_a_row_of_its_own_for_the_same_request() -> None:
    shadow = exposure(1, "3", is_shadow=True, label="negative", at_ms=STARTED_MS + 30)
    found = observed(OWN, [exposure(1), shadow], feedback({"id": "1", "label": "negative"}))
    assert found.arms.tolist() == [0, 2]
    assert found.ids.tolist() == [0, 0]
    assert values(found) == [0.0, 1.0]


def test_rows_are_in_the_order_of_time() -> None:
    found = observed(OWN, [exposure(5), exposure(2), exposure(9)])
    assert found.at_ms.tolist() == [STARTED_MS + n for n in (2, 5, 9)]


def test_of_nothing_there_is_nothing() -> None:
    assert len(observed(OWN, [])) == 0
