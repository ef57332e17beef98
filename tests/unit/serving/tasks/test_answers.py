from __future__ import annotations

import pytest

from streamproc.serving.tasks import answers as module
from streamproc.serving.tasks.answers import Answers, AnswerSpan

TEXT = "Good film, good FILM, bad book"


def test_answers_that_say_the_same_are_one_at_the_place_found_first() -> None:
    answers = Answers(TEXT)
    answers.add(11, 20, 0.25)
    answers.add(0, 9, 0.5)
    answers.add(22, 30, 0.5)

    assert answers.best(5, None) == [AnswerSpan(11, 20, 0.75), AnswerSpan(22, 30, 0.5)]


def test_of_equals_the_earlier_in_the_text_is_better() -> None:
    answers = Answers(TEXT)
    answers.add(22, 25, 0.5)
    answers.add(5, 9, 0.5)

    assert [answer.start for answer in answers.best(2, None)] == [5, 22]


def test_what_has_no_text_is_no_answer() -> None:
    answers = Answers(TEXT)
    answers.add(5, 5, 0.9)
    answers.add(9, 5, 0.9)
    answers.add(0, 4, 0.1)

    assert answers.best(9, None) == [AnswerSpan(0, 4, 0.1)]


def test_a_word_as_long_as_a_book_is_no_answer() -> None:
    answers = Answers("x" * 100_000)
    answers.add(0, 100_000, 0.9)
    answers.add(0, module.MAX_CHARACTERS, 0.1)

    assert answers.best(9, None) == [AnswerSpan(0, module.MAX_CHARACTERS, 0.1)]


def test_the_smallest_null_score_counts() -> None:
    answers = Answers(TEXT)
    for score in (0.5, 0.25, 0.75):
        answers.add_null(score)

    assert answers.null_score == 0.25


@pytest.mark.parametrize(
    ("threshold", "places"),
    [
        (None, [0, 22]),
        (-1.0, [None, 0, 22]),
        (0.0, [0, None, 22]),
        (0.1, [0, None, 22]),
        (0.25, [0, 22, None]),
        (1.0, [0, 22, None]),
    ],
)
def test_no_answer_stands_before_those_it_exceeds_by_more_than_the_threshold(
    threshold: float | None, places: list[int | None]
) -> None:
    answers = Answers(TEXT)
    answers.add(0, 4, 0.5)
    answers.add(22, 25, 0.25)
    answers.add_null(0.5)

    best = answers.best(3, threshold)

    assert [answer.start if answer.end else None for answer in best] == places


def test_no_answer_is_given_where_nothing_was_found() -> None:
    answers = Answers(TEXT)
    answers.add_null(0.5)

    assert answers.best(3, None) == [AnswerSpan(0, 0, 0.5)]


def test_no_more_is_kept_than_the_bound_and_the_best_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEPT", 10)
    text = "".join(chr(0x4E00 + number) for number in range(500))
    answers = Answers(text)

    for place in range(500):
        answers.add(place, place + 1, (place * 7 % 500) / 1000)

    assert len(answers.scores(with_null=False)) <= 10
    assert [answer.score for answer in answers.best(3, None)] == [0.499, 0.498, 0.497]
