from __future__ import annotations

import pytest

from streamproc.offline.evaluation.squad import best_of, exact_match, f1


@pytest.mark.parametrize(
    ("answer", "right", "exact", "overlap"),
    [
        ("The Eiffel-Tower!", "eiffeltower", 1, 1),
        ("in 1987", "1987", 0, 2 / 3),
        ("a dog, a cat", "the cat the dog", 0, 1),
        ("theatre", "atre", 0, 0),
        ("", "", 1, 1),
        ("the", "", 1, 1),
        ("", "cat", 0, 0),
        ("cat cat", "cat", 0, 2 / 3),
    ],
)
def test_answers_are_measured_as_squad_does(
    answer: str, right: str, exact: float, overlap: float
) -> None:
    assert exact_match(answer, right) == exact
    assert f1(answer, right) == pytest.approx(overlap)


def test_the_closest_right_answer_counts() -> None:
    assert best_of(f1, "in 1987", ["1999", "1987"]) == pytest.approx(2 / 3)


def test_where_no_answer_is_right_none_is() -> None:
    assert [best_of(f1, said, []) for said in ("", "a word")] == [1, 0]


def test_of_right_answers_those_of_which_nothing_is_left_do_not_count() -> None:
    assert [best_of(metric, "", ["the", "a cat"]) for metric in (exact_match, f1)] == [0, 0]
    assert [best_of(metric, "", ["the", "–", "cat"]) for metric in (exact_match, f1)] == [0, 0]
    assert best_of(exact_match, "", ["the"]) == 1
