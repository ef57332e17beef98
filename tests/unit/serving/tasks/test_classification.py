from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from streamproc.errors import Invalid, MemberFailed, MemberLate, QuorumNotMet
from streamproc.serving.chunking.windows import Chunk
from streamproc.serving.inference.batch import MemberOutput
from streamproc.serving.tasks.catalogue import task_named
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.task import Answer
from streamproc.testing import build_spec
from streamproc.types import FloatArray

TASK = task_named("text-classification")
LONG = "good film the bad " * 10


def odds(*probabilities: float) -> FloatArray:
    return np.asarray(np.log(probabilities), np.float64)


def answered(
    said: Sequence[Sequence[FloatArray | None]],
    text: str = LONG,
    spec: EnsembleSpec | None = None,
    **params: Any,
) -> tuple[Answer, list[Chunk]]:
    """The answer when members say said[chunk][member]; the last chunk's say is repeated."""
    spec = spec or build_spec(["a", "b"][: len(said[0])], quorum=1)
    job = TASK.begin({"text": text}, params, spec)
    chunks = list(job.chunks())
    for index, chunk in enumerate(chunks):
        scores = said[min(index, len(said) - 1)]
        job.add(chunk, [output(m.name, s) for m, s in zip(spec.members, scores, strict=True)])
    return job.answer(), chunks


def output(name: str, scores: FloatArray | None) -> MemberOutput:
    error = None if scores is not None else MemberFailed(name, "broken")
    return MemberOutput(name, scores, error)


def test_one_chunk_and_one_member_is_that_members_softmax() -> None:
    answer, chunks = answered([[np.array([1.0, 3.0])]], "good")

    positive = float(np.exp(3) / (np.exp(1) + np.exp(3)))
    assert len(chunks) == 1
    assert answer.result["label"] == "positive"
    assert answer.result["score"] == pytest.approx(positive)
    assert answer.result["scores"] == pytest.approx(
        {"positive": positive, "negative": 1 - positive}
    )
    assert list(answer.result["scores"]) == ["positive", "negative"]
    assert answer.agreement == 1


def test_chunks_count_by_their_tokens() -> None:
    answer, chunks = answered([[odds(0.9, 0.1)], [odds(0.2, 0.8)]])

    tokens = np.array([chunk.content_tokens for chunk in chunks])
    negative = (0.9 * tokens[0] + 0.2 * tokens[1:].sum()) / tokens.sum()
    assert len(set(tokens)) > 1
    assert answer.result["scores"]["negative"] == pytest.approx(negative)


def test_max_takes_the_surest_chunk_of_each_label() -> None:
    answer, _ = answered([[odds(0.9, 0.1)], [odds(0.4, 0.6)]], aggregation="max")

    assert answer.result["scores"] == pytest.approx({"negative": 0.9 / 1.5, "positive": 0.6 / 1.5})


def test_vote_counts_chunks() -> None:
    answer, chunks = answered([[odds(0.99, 0.01)], [odds(0.4, 0.6)]], aggregation="vote")

    assert answer.result["label"] == "positive"
    assert answer.result["scores"]["negative"] == pytest.approx(1 / len(chunks), abs=1e-4)


def test_a_request_may_choose_how_members_are_combined() -> None:
    said = [[odds(0.9, 0.1), odds(0.4, 0.6)]]

    assert answered(said, "x")[0].result["score"] == pytest.approx(0.65)
    assert answered(said, "x", combine="vote")[0].result["score"] == pytest.approx(0.5, abs=1e-4)


def test_agreement_is_the_share_of_members_that_say_what_the_answer_says() -> None:
    answer, _ = answered([[odds(0.9, 0.1), odds(0.4, 0.6)]], "x")

    assert answer.result["label"] == "negative"
    assert answer.agreement == 0.5


def test_members_results_are_told_when_asked_for() -> None:
    said = [[odds(0.9, 0.1), odds(0.4, 0.6)]]

    silent, _ = answered(said, "x")
    told, _ = answered(said, "x", return_members=True)

    assert [member.result for member in silent.members] == [None, None]
    assert [m.result and m.result["label"] for m in told.members] == ["negative", "positive"]


def test_top_k_bounds_what_scores_lists_and_nothing_else() -> None:
    spec = build_spec(["a"], labels=["x", "y", "z"])

    answer, _ = answered([[odds(0.2, 0.7, 0.1)]], "x", spec, top_k=2)

    assert list(answer.result["scores"]) == ["y", "x"]
    assert answer.result["score"] == pytest.approx(0.7)


@pytest.mark.parametrize("text", ["", " \r\n", "\u200b"])
def test_a_text_that_says_nothing_is_answered(text: str) -> None:
    answer, chunks = answered([[odds(0.6, 0.4)]], text)

    assert len(chunks) == 1
    assert answer.result["score"] == pytest.approx(0.6)
    assert answer.coverage.characters == answer.coverage.characters_covered == len(text)
    assert not answer.coverage.truncated


def test_coverage_is_all_of_the_text() -> None:
    answer, chunks = answered([[odds(0.6, 0.4)]])

    coverage = answer.coverage
    assert (coverage.chunks, coverage.characters) == (len(chunks), len(LONG))
    assert (coverage.characters_covered, coverage.truncated) == (len(LONG), False)


def test_truncating_takes_the_first_window_and_says_so() -> None:
    answer, chunks = answered([[odds(0.6, 0.4)]], truncate=True)

    assert len(chunks) == answer.coverage.chunks == 1
    assert 0 < answer.coverage.characters_covered < len(LONG)
    assert answer.coverage.truncated


def test_truncating_a_text_that_fits_truncates_nothing() -> None:
    assert not answered([[odds(0.6, 0.4)]], "good", truncate=True)[0].coverage.truncated


def test_a_member_missing_in_one_chunk_is_reported_and_the_others_answer() -> None:
    answer, _ = answered([[odds(0.9, 0.1), odds(0.7, 0.3)], [odds(0.9, 0.1), None]])

    assert [member.status for member in answer.members] == ["ok", "failed"]
    assert 0.8 < answer.result["scores"]["negative"] < 0.9


def test_a_member_that_never_answered_has_no_result() -> None:
    answer, _ = answered([[odds(0.9, 0.1), None]], return_members=True)

    assert [bool(member.result) for member in answer.members] == [True, False]
    assert answer.agreement == 1


def test_fewer_members_than_the_quorum_is_an_error_that_names_them() -> None:
    job = TASK.begin({"text": "x"}, {}, build_spec(["a", "b", "c"], quorum=2))
    (chunk,) = job.chunks()
    late = MemberOutput("c", None, MemberLate("c", "took too long"))

    with pytest.raises(QuorumNotMet, match="1 of 3 members answered, 2 are needed") as few:
        job.add(chunk, [output("a", odds(0.5, 0.5)), output("b", None), late])

    assert "member b: broken" in str(few.value)
    assert "member c: took too long" in str(few.value)


def test_members_with_other_labels_are_put_together_by_name() -> None:
    spec = build_spec(["a", "b"], member_labels={"b": ["positive", "negative"]})

    answer, _ = answered([[odds(0.9, 0.1), odds(0.1, 0.9)]], "x", spec, return_members=True)

    assert answer.result["score"] == pytest.approx(0.9)
    assert answer.agreement == 1


@pytest.mark.parametrize(
    ("inputs", "params", "field"),
    [
        ({}, {}, "text"),
        ({"text": 1}, {}, "text"),
        ({"text": "x"}, {"aggregation": "sum"}, "params.aggregation"),
        ({"text": "x"}, {"combine": "gated"}, "params.combine"),
        ({"text": "x"}, {"top_k": 1.0}, "params.top_k"),
        ({"text": "x"}, {"truncate": "yes"}, "params.truncate"),
        ({"text": "x"}, {"return_members": 1}, "params.return_members"),
        ({"text": "x"}, {"return_all": True}, "params.return_all"),
    ],
)
def test_what_is_wrong_in_a_request_is_named(
    inputs: dict[str, Any], params: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as invalid:
        TASK.begin(inputs, params, build_spec())

    assert invalid.value.detail.startswith(f"{field}: ")


def test_fields_of_other_tasks_are_passed_over() -> None:
    TASK.begin({"text": "x", "question": "?"}, {}, build_spec())
