from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from streamproc.errors import Invalid, MemberFailed, QuorumNotMet
from streamproc.serving.chunking.pairs import PairChunk
from streamproc.serving.ensembling.confidence import Confidence
from streamproc.serving.inference.batch import MemberOutput
from streamproc.serving.tasks.catalogue import task_named
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.task import Answer
from streamproc.testing import build_spec
from streamproc.types import FloatArray

TASK = task_named("question-answering")
CONTEXT = "good film the bad film"
Says = Callable[[PairChunk], FloatArray | None]
"""What a member makes of a chunk: (tokens, 2), or nothing."""


def tiny(members: Sequence[str] = ("a",), **options: Any) -> EnsembleSpec:
    return build_spec(members, labels=(), **options)


def says(
    starts: dict[int, float],
    ends: dict[int, float],
    *,
    null: float = 0.0,
    window: int | None = None,
) -> Says:
    """Logits of the context's tokens by their place in the window; all others are low.

    window: the only one where starts and ends are said
    """

    def scores(chunk: PairChunk) -> FloatArray:
        logits = np.full((len(chunk), 2), -8.0)
        logits[0] = null
        if window in (None, chunk.index):
            for column, places in enumerate((starts, ends)):
                for place, logit in places.items():
                    logits[chunk.content_from + place, column] = logit
        return logits

    return scores


def absent(_: PairChunk) -> None:
    return None


def answered(
    *members: Says,
    context: str = CONTEXT,
    question: str = "the good",
    spec: EnsembleSpec | None = None,
    **params: Any,
) -> Answer:
    spec = spec or tiny("abc"[: len(members)], quorum=1)
    job = TASK.begin({"question": question, "context": context}, params, spec)
    for chunk in job.chunks():
        job.add(
            chunk,
            [output(m.name, said(chunk)) for m, said in zip(spec.members, members, strict=True)],
        )
    return job.answer()


def output(name: str, scores: FloatArray | None) -> MemberOutput:
    return MemberOutput(name, scores, None if scores is not None else MemberFailed(name, "broken"))


def texts(answer: Answer) -> list[str]:
    return [found["answer"] for found in answer.result["answers"]]


def test_a_score_is_the_share_of_its_start_times_that_of_its_end() -> None:
    answer = answered(says({1: 2.0, 3: 1.0}, {2: 1.0}, null=-1.0))

    start = np.exp(2.0) / (np.exp([2.0, 1.0, -1.0]).sum() + 3 * np.exp(-8.0))
    end = np.exp(1.0) / (np.exp([1.0, -1.0]).sum() + 4 * np.exp(-8.0))
    assert answer.result["score"] == pytest.approx(start * end)
    assert answer.result == {
        "answer": "film the",
        "score": answer.result["score"],
        "start": 5,
        "end": 13,
        "answers": [{k: v for k, v in answer.result.items() if k != "answers"}],
    }


def test_the_question_is_never_the_answer() -> None:
    def scores(chunk: PairChunk) -> FloatArray:
        logits = says({3: 1.0}, {3: 1.0})(chunk)
        assert logits is not None
        logits[1 : chunk.content_from] = 50.0
        return logits

    assert answered(scores).result["answer"] == "bad"
    assert answered(scores).result["score"] > 0.5


def test_an_answer_is_no_longer_than_asked_and_ends_after_it_starts() -> None:
    said = says({0: 5.0, 3: 4.0}, {4: 5.0, 0: 3.0})

    assert answered(said).result["answer"] == CONTEXT
    assert answered(said, max_answer_tokens=4).result["answer"] == "bad film"
    assert answered(said, max_answer_tokens=1).result["answer"] == "good"


def test_an_answer_is_extended_to_whole_words_unless_told_otherwise() -> None:
    # One token a letter.
    said = says({2: 9.0}, {3: 9.0})

    assert answered(said, context="xylophone bad").result["answer"] == "xylophone"
    assert answered(said, context="xylophone bad", align_to_words=False).result["answer"] == "lo"


def test_the_same_words_in_two_places_are_one_answer_with_both_scores() -> None:
    said = says({1: 3.0, 4: 3.0, 3: 2.9}, {1: 3.0, 4: 3.0, 3: 2.9})

    answer = answered(said, context="good Film the bad film", max_answer_tokens=1, top_k=3)

    assert texts(answer)[:2] == ["Film", "bad"]
    best, second = answer.result["answers"][:2]
    assert (best["start"], best["end"]) == (5, 9)
    assert best["score"] > 1.9 * second["score"]


def test_fewer_answers_are_listed_where_there_are_no_more() -> None:
    assert texts(answered(says({}, {}), context="bad", top_k=9)) == ["bad"]


def test_no_answer_is_listed_by_its_score_when_it_may_be_given() -> None:
    said = says({1: 1.0}, {1: 1.0}, null=3.0)

    assert texts(answered(said)) == ["film"]
    answer = answered(said, handle_impossible_answer=True, top_k=2)
    assert texts(answer) == ["", "film"]
    assert (answer.result["start"], answer.result["end"]) == (0, 0)
    assert answer.result["score"] == pytest.approx((np.exp(3) / (np.exp(3) + np.e)) ** 2, abs=1e-2)


@pytest.mark.parametrize(("threshold", "best"), [(0.0, ""), (0.5, ""), (0.9, "film"), (1, "film")])
def test_a_threshold_says_by_how_much_no_answer_must_be_likelier(
    threshold: float, best: str
) -> None:
    answer = answered(says({1: 1.0}, {1: 1.0}, null=3.0), no_answer_threshold=threshold)

    assert answer.result["answer"] == best


def test_a_context_has_no_answer_only_as_far_as_its_best_window_has_none() -> None:
    spec = tiny(max_tokens=12, overlap_tokens=2)
    said = says({1: 4.0}, {1: 4.0}, window=1)

    answer = answered(
        said, context=f"{CONTEXT} " * 4, spec=spec, handle_impossible_answer=True, top_k=2
    )

    assert answer.coverage.chunks > 2
    assert texts(answer)[1] == ""
    assert answer.result["answers"][1]["score"] < 0.01


@pytest.mark.parametrize("context", [" \r\n", "\u200b", "\t"])
def test_a_context_without_a_token_has_no_answer(context: str) -> None:
    answer = answered(says({}, {}), context=context)

    assert answer.result == {
        "answer": "",
        "score": 1.0,
        "start": 0,
        "end": 0,
        "answers": [{"answer": "", "score": 1.0, "start": 0, "end": 0}],
    }
    assert answer.entropy == 0
    assert answer.coverage.characters_covered == len(context)


def test_members_are_combined_before_spans_are_looked_for() -> None:
    # Each has a favourite of its own; what both hold to be second is the best together.
    first = says({0: 3.0, 3: 2.8}, {0: 3.0, 3: 2.8})
    second = says({1: 3.0, 3: 2.8}, {1: 3.0, 3: 2.8})

    answer = answered(first, second, return_members=True)

    assert answer.result["answer"] == "bad"
    assert [member.result and member.result["answer"] for member in answer.members] == [
        "good",
        "film",
    ]
    assert answer.agreement == 0


def test_a_request_may_choose_how_members_are_combined() -> None:
    sure, unsure = says({0: 9.0}, {0: 9.0}), says({0: -30.0, 1: 1.0}, {0: -30.0, 1: 1.0})

    assert answered(sure, unsure).result["answer"] == "good"
    assert answered(sure, unsure, combine="logit_mean").result["answer"] == "film"


def test_agreement_is_the_share_of_members_whose_own_best_answer_is_the_one_given() -> None:
    one, other = says({0: 3.0}, {0: 3.0}), says({1: 2.0}, {1: 2.0})

    assert answered(one, one).agreement == 1
    assert answered(one, other, one).agreement == pytest.approx(2 / 3)


def test_entropy_is_that_of_the_answers_scores() -> None:
    certain, torn = says({0: 30.0}, {0: 30.0}), says({0: 9.0, 1: 9.0}, {0: 9.0, 1: 9.0})

    assert answered(certain).entropy == pytest.approx(0, abs=1e-6)
    # "good", "film" and "good film" are equally likely.
    assert answered(torn).entropy == pytest.approx(np.log(3), abs=1e-2)


def test_a_member_missing_in_one_window_is_reported_and_the_others_answer() -> None:
    spec = tiny("ab", quorum=1, max_tokens=12, overlap_tokens=2)

    def only_first(chunk: PairChunk) -> FloatArray | None:
        return says({0: 4.0}, {0: 4.0})(chunk) if chunk.index == 0 else None

    first = says({1: 1.0}, {1: 1.0}, window=0)
    answer = answered(first, only_first, context=f"{CONTEXT} " * 3, spec=spec)

    assert [member.status for member in answer.members] == ["ok", "failed"]
    assert answer.result["answer"] == "good"


def test_a_member_that_never_answered_has_no_result_and_no_say() -> None:
    answer = answered(says({0: 3.0}, {0: 3.0}), absent, return_members=True)

    assert [bool(member.result) for member in answer.members] == [True, False]
    assert answer.agreement == 1


def test_fewer_members_than_the_quorum_is_an_error() -> None:
    with pytest.raises(QuorumNotMet, match="1 of 2 members answered, 2 are needed"):
        answered(says({}, {}), absent, spec=tiny("ab"))


def test_all_of_the_context_is_covered_unless_only_its_first_window_is_asked_for() -> None:
    context = f"{CONTEXT} " * 5

    whole = answered(says({0: 1.0}, {0: 1.0}), context=context).coverage
    first = answered(says({0: 1.0}, {0: 1.0}), context=context, truncate=True).coverage

    assert (whole.characters, whole.characters_covered, whole.truncated) == (115, 115, False)
    assert (first.chunks, first.characters, first.truncated) == (1, 115, True)
    assert 0 < first.characters_covered < 115


def test_a_question_may_be_as_long_as_leaves_the_context_room() -> None:
    spec = tiny(max_tokens=16, overlap_tokens=4)

    answered(says({}, {}), question="the " * 12, context="bad", spec=spec)
    answered(says({}, {}), question="the " * 8, context=CONTEXT * 9, spec=spec)
    with pytest.raises(Invalid, match="question: too long: a context leaves it at most 12 tokens"):
        answered(says({}, {}), question="the " * 13, context="bad", spec=spec)
    with pytest.raises(Invalid, match=r"question: too long: .* more than one .* at most 8 tokens"):
        answered(says({}, {}), question="the " * 9, context=CONTEXT * 9, spec=spec)


def test_a_question_of_any_length_is_refused_without_reading_all_of_it() -> None:
    job = TASK.begin({"question": "good " * 200_000, "context": "bad"}, {}, tiny())

    with pytest.raises(Invalid, match="question: too long"):
        next(job.chunks())


@pytest.mark.parametrize(
    ("inputs", "params", "field"),
    [
        ({"context": "x"}, {}, "question"),
        ({"question": "x"}, {}, "context"),
        ({"question": "", "context": "x"}, {}, "question"),
        ({"question": "x", "context": ""}, {}, "context"),
        ({"question": ["x"], "context": "x"}, {}, "question"),
        ({"question": "x", "context": None}, {}, "context"),
        ({}, {"top_k": 0}, "params.top_k"),
        ({}, {"top_k": 10**9}, "params.top_k"),
        ({}, {"top_k": True}, "params.top_k"),
        ({}, {"max_answer_tokens": -1}, "params.max_answer_tokens"),
        ({}, {"max_answer_tokens": 10**9}, "params.max_answer_tokens"),
        ({}, {"no_answer_threshold": float("nan")}, "params.no_answer_threshold"),
        ({}, {"no_answer_threshold": float("inf")}, "params.no_answer_threshold"),
        ({}, {"no_answer_threshold": "0"}, "params.no_answer_threshold"),
        ({}, {"handle_impossible_answer": 1}, "params.handle_impossible_answer"),
        ({}, {"combine": "vote"}, "params.combine"),
        ({}, {"max_seq_len": 512}, "params.max_seq_len"),
        ({}, {"doc_stride": 1}, "params.doc_stride"),
    ],
)
def test_what_is_wrong_in_a_request_is_named(
    inputs: dict[str, Any], params: dict[str, Any], field: str
) -> None:
    asked = inputs or {"question": "x", "context": "y"}

    with pytest.raises(Invalid) as invalid:
        TASK.begin(asked, params, tiny())

    assert invalid.value.detail.startswith(f"{field}: ")


def test_a_confidence_is_of_what_members_say_together_the_manifests_way() -> None:
    said = says({1: 2.0, 3: 1.0}, {2: 1.0, 4: 0.5}, null=-1.0)
    confidence = Confidence(0.5, 1.0)
    calibrated = replace(tiny("a"), confidence=confidence)
    plain = answered(said, top_k=3, return_members=True, spec=tiny("a"))

    found = answered(said, top_k=3, return_members=True, spec=calibrated)
    otherwise = answered(said, top_k=3, combine="logit_mean", spec=calibrated)

    assert texts(found) == texts(plain)
    assert [one["score"] for one in found.result["answers"]] == [
        confidence.of(one["score"]) for one in plain.result["answers"]
    ]
    assert found.members[0].result == plain.members[0].result
    assert otherwise.result["score"] == pytest.approx(plain.result["score"])
