"""Whatever is asked about whatever context, answers point at what they say."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.serving.chunking.pairs import PairChunk
from streamproc.serving.inference.batch import MemberOutput
from streamproc.serving.tasks.catalogue import task_named
from streamproc.serving.tasks.task import Answer
from streamproc.testing import build_spec
from streamproc.types import FloatArray
from tests.support.awkward_texts import AWKWARD

TASK = task_named("question-answering")
CONTEXTS = st.lists(AWKWARD, min_size=1, max_size=80).map("".join)
PARAMS = st.fixed_dictionaries(
    {"top_k": st.integers(1, 30), "return_members": st.just(True)},
    optional={
        "max_answer_tokens": st.integers(1, 256),
        "handle_impossible_answer": st.booleans(),
        "no_answer_threshold": st.floats(-1, 1),
        "align_to_words": st.booleans(),
        "combine": st.sampled_from(["mean", "logit_mean", "weighted"]),
        "truncate": st.booleans(),
    },
)


def answered(
    context: str, params: dict[str, Any], members: Sequence[str] = ("a", "b"), round_to: int = 12
) -> Answer:
    """The answer of members whose logits are noise, the same for the same name and window.

    round_to: decimals of the logits; 0 makes many spans equally good
    """
    names = [f"m{place}" for place in range(len(members))]
    spec = build_spec(names, labels=(), max_tokens=16, overlap_tokens=4)
    job = TASK.begin({"question": "the film", "context": context}, params, spec)
    for chunk in job.chunks():
        job.add(
            chunk,
            [
                MemberOutput(name, noise(member, chunk, round_to))
                for name, member in zip(names, members, strict=True)
            ],
        )
    return job.answer()


def noise(member: str, chunk: PairChunk, round_to: int) -> FloatArray:
    seed = hashlib.sha256(member.encode() + chunk.ids.tobytes()).digest()[:8]
    random = np.random.default_rng(int.from_bytes(seed))
    return np.round(2 * random.normal(size=(len(chunk), 2)), round_to)


def results(answer: Answer) -> list[dict[str, Any]]:
    return [answer.result, *(member.result for member in answer.members if member.result)]


@given(CONTEXTS, PARAMS)
def test_an_answer_is_what_the_context_says_from_its_start_to_its_end(
    context: str, params: dict[str, Any]
) -> None:
    for result in results(answered(context, params)):
        assert {key: result[key] for key in ("answer", "score", "start", "end")} == (
            result["answers"][0]
        )
        for found in result["answers"]:
            assert context[found["start"] : found["end"]] == found["answer"]
            assert found["answer"] or found["start"] == found["end"] == 0
            assert 0 <= found["start"] <= found["end"] <= len(context)
            assert found["score"] >= 0


@given(CONTEXTS, PARAMS)
def test_answers_differ_and_are_no_more_than_asked_for_best_first(
    context: str, params: dict[str, Any]
) -> None:
    for result in results(answered(context, params, round_to=0)):
        answers = result["answers"]
        assert 1 <= len(answers) <= params["top_k"]
        assert len({found["answer"].lower() for found in answers}) == len(answers)
        scores = [found["score"] for found in answers if found["answer"]]
        assert scores == sorted(scores, reverse=True)


@given(CONTEXTS, PARAMS)
def test_coverage_is_the_whole_context_unless_it_is_truncated(
    context: str, params: dict[str, Any]
) -> None:
    coverage = answered(context, params).coverage

    assert coverage.characters == len(context)
    if not params.get("truncate"):
        assert (coverage.characters_covered, coverage.truncated) == (len(context), False)
    assert coverage.truncated == (coverage.characters_covered < len(context))


@given(CONTEXTS, PARAMS, st.permutations("abc"), st.sampled_from([0, 12]))
def test_members_in_any_order_give_the_same_bytes(
    context: str, params: dict[str, Any], order: list[str], round_to: int
) -> None:
    def told(members: Sequence[str]) -> bytes:
        answer = answered(context, params, members, round_to)
        return orjson.dumps([answer.result, answer.agreement, answer.entropy])

    assert told(order) == told("abc")


@given(CONTEXTS, PARAMS, st.integers(2, 5))
def test_copies_of_a_member_answer_as_it_does_alone(
    context: str, params: dict[str, Any], copies: int
) -> None:
    alone, together = answered(context, params, "a"), answered(context, params, "a" * copies)

    assert together.agreement == alone.agreement == 1
    assert together.entropy == pytest.approx(alone.entropy)
    for one, other in zip(alone.result["answers"], together.result["answers"], strict=True):
        assert other == {**one, "score": pytest.approx(one["score"])}


@given(CONTEXTS, PARAMS)
def test_the_same_request_gets_the_same_bytes(context: str, params: dict[str, Any]) -> None:
    first, second = (answered(context, params, "ab", round_to=0) for _ in range(2))

    assert orjson.dumps(asdict(first)) == orjson.dumps(asdict(second))


@given(CONTEXTS, PARAMS)
def test_agreement_and_entropy_stay_in_their_bounds(context: str, params: dict[str, Any]) -> None:
    answer = answered(context, params, "abc", round_to=0)

    assert answer.agreement is not None
    assert answer.entropy is not None
    assert 0 <= answer.agreement <= 1
    assert answer.entropy >= 0
