"""Questions without an answer, made of questions that have one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamproc.offline.corpus.questions import Question
from streamproc.offline.training.unanswerable import unanswerable

RECORDS = [
    Question(
        f"What of q{n}?",
        f"paragraph {'x' * n}y",
        ((10, f"{'x' * n}y"),),
        {"title": f"document {n % 3}"},
    )
    for n in range(24)
]


@given(st.floats(0, 1), st.integers(0, 1000))
def test_they_have_no_answer_and_their_paragraph_does_not_hold_it(share: float, seed: int) -> None:
    made = list(unanswerable(RECORDS, share, seed))

    assert len(made) <= round(share * len(RECORDS))
    assert all(not question.answers for question in made)
    for question in made:
        answer = next(r for r in RECORDS if r.question == question.question).answers[0][1]
        assert answer not in question.context
    assert made == list(unanswerable(RECORDS, share, seed))


def test_another_seed_draws_others() -> None:
    assert list(unanswerable(RECORDS, 0.5, 3)) != list(unanswerable(RECORDS, 0.5, 4))


def test_every_other_one_is_of_the_same_document_and_shares_the_words_of_the_question() -> None:
    about = {"title": "Rhine"}
    likest = "The long river Rhine ends at a delta."
    records = [
        Question("How long is the river Rhine?", "It has 1,233 km.", ((7, "1,233"),), about),
        Question("Where does it rise?", "In the Alps.", ((7, "Alps"),), about),
        Question("Where does it end?", likest, ((31, "delta"),), about),
        *(Question(f"q{n}?", f"This is about {n}.", ((14, f"{n}"),), {}) for n in range(100, 140)),
    ]

    made = [
        one.context
        for seed in range(20)
        for one in unanswerable(records, 1, seed)
        if one.question == records[0].question
    ]

    assert len(made) == 20
    assert 5 <= made.count(likest) <= 15


def test_a_corpus_of_one_paragraph_has_none() -> None:
    assert list(unanswerable(RECORDS[:1], 1, 0)) == []
    assert list(unanswerable((), 1, 0)) == []
