from __future__ import annotations

import numpy as np
import pytest

from streamproc.errors import ModelRefused
from streamproc.serving.ensembling.labels import LabelMap

LABELS = ("negative", "neutral", "positive")


def test_outputs_are_laid_out_by_the_ensembles_labels() -> None:
    placed = LabelMap.between("m", ["positive", "negative"], LABELS).align(np.array([[1.0, 2.0]]))

    np.testing.assert_array_equal(placed, [[2.0, np.nan, 1.0]])


def test_an_output_without_a_name_is_ignored() -> None:
    labels = LabelMap.between("m", ["", "negative", "", "positive"], LABELS)

    assert labels.outputs == 4
    np.testing.assert_array_equal(labels.align(np.array([9.0, 1.0, 9.0, 2.0])), [1.0, np.nan, 2.0])
    assert labels.known.tolist() == [True, False, True]


def test_any_number_of_dimensions_before_the_labels_stays() -> None:
    labels = LabelMap.between("m", LABELS, LABELS)

    assert labels.align(np.zeros((2, 4, 3))).shape == (2, 4, 3)


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        (["negative", "good"], "good is not a label of the ensemble; its labels are negative, "),
        (["negative", "negative"], "each once"),
        (["negative"], "at least two labels"),
        (["negative", ""], "at least two labels"),
        ([], "at least two labels"),
    ],
)
def test_labels_that_do_not_fit_are_refused(outputs: list[str], said: str) -> None:
    with pytest.raises(ModelRefused, match="member m: ") as refused:
        LabelMap.between("m", outputs, LABELS)

    assert said in str(refused.value)
