"""Whatever the text and however it is cut, entities point at the right characters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamproc.serving.chunking.windows import Chunk, Window
from streamproc.serving.inference.batch import Batch, MemberOutput
from streamproc.serving.tasks.catalogue import task_named
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.task import Answer
from streamproc.testing import ScriptedSession, build_spec
from tests.support.awkward_texts import TEXTS, WINDOWS

TASK = task_named("token-classification")
LABELS = ("O", "B-PER", "I-PER", "LOC")
AGGREGATIONS = st.sampled_from(["none", "simple", "first", "average", "max"])
STRATEGIES = st.sampled_from(["mean", "logit_mean", "weighted", "vote"])


def spec_of(members: Sequence[str], window: Window) -> EnsembleSpec:
    return build_spec(
        members,
        labels=LABELS,
        max_tokens=window.max_tokens,
        overlap_tokens=window.overlap_tokens,
    )


def answered(text: str, spec: EnsembleSpec, **params: Any) -> Answer:
    job = TASK.begin({"text": text}, params, spec)
    for chunk in job.chunks():
        job.add(chunk, [output(member.name, chunk) for member in spec.members])
    return job.answer()


def output(member: str, chunk: Chunk) -> MemberOutput:
    """What depends on a token alone, and on the first letter of the member's name."""
    session = ScriptedSession(member[0], len(LABELS), per_token=True)
    return MemberOutput(member, session.run(Batch.pad([chunk]), None)[0])


def entities(answer: Answer) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = answer.result["entities"]
    return found


@given(TEXTS, WINDOWS, AGGREGATIONS, st.booleans())
@example("e\u0301👩‍👩‍👧‍👦\r\n\tשלום 中文字\u200d🏳️‍🌈 good", Window(8, 3), "simple", True)
def test_a_word_is_the_text_from_its_start_to_its_end(
    text: str, window: Window, aggregation: str, everything: bool
) -> None:
    ignored = [] if everything else ["O"]
    spec = spec_of("ab", window)
    answer = answered(text, spec, aggregation=aggregation, ignore_labels=ignored)

    for entity in entities(answer):
        assert text[entity["start"] : entity["end"]] == entity["word"]
        assert 0 <= entity["start"] <= entity["end"] <= len(text)
        assert 0 <= entity["score"] <= 1
    starts = [entity["start"] for entity in entities(answer)]
    assert starts == sorted(starts)
    assert answer.coverage.characters_covered == len(text)
    assert answer.agreement is not None
    assert answer.entropy is not None
    assert 0 <= answer.agreement <= 1
    assert 0 <= answer.entropy <= np.log(len(LABELS)) + 1e-9


@given(TEXTS, WINDOWS, WINDOWS, AGGREGATIONS)
def test_windows_make_no_difference_where_a_token_is_scored_by_itself(
    text: str, one: Window, other: Window, aggregation: str
) -> None:
    found = answered(text, spec_of("ab", one), aggregation=aggregation)
    also = answered(text, spec_of("ab", other), aggregation=aggregation)

    assert found.result == also.result
    assert found.agreement == pytest.approx(also.agreement, rel=1e-5, abs=1e-8)
    assert found.entropy == pytest.approx(also.entropy, rel=1e-5, abs=1e-8)


@given(TEXTS, WINDOWS)
def test_every_token_is_told_once_and_none_is_left_out(text: str, window: Window) -> None:
    spec = spec_of("a", window)
    tokens = [span for run in spec.tokenizer.stream(text) for span in run.offsets.tolist()]

    answer = answered(text, spec, aggregation="none", ignore_labels=[])

    assert [[e["start"], e["end"]] for e in entities(answer)] == tokens
    assert [e["index"] for e in entities(answer)] == list(range(1, len(tokens) + 1))


@given(TEXTS, WINDOWS, AGGREGATIONS.filter(lambda aggregation: aggregation != "none"))
def test_the_longest_of_overlapping_entities_do_not_overlap(
    text: str, window: Window, aggregation: str
) -> None:
    answer = answered(text, spec_of("ab", window), aggregation=aggregation, stitch="longest")

    for before, after in pairwise(entities(answer)):
        assert before["end"] <= after["start"]
    for entity in entities(answer):
        assert text[entity["start"] : entity["end"]] == entity["word"]


@given(TEXTS, WINDOWS, AGGREGATIONS, STRATEGIES, st.integers(2, 4))
def test_copies_of_a_member_find_what_it_finds_alone(
    text: str, window: Window, aggregation: str, combine: str, copies: int
) -> None:
    params = {"aggregation": aggregation, "combine": combine}
    alone = answered(text, spec_of(["a"], window), return_members=True, **params)
    many = answered(
        text, spec_of([f"a{n}" for n in range(copies)], window), return_members=True, **params
    )

    assert many.agreement == alone.agreement == 1
    assert [_place(e) for e in entities(many)] == [_place(e) for e in entities(alone)]
    # A member's own probabilities are no votes, and may come to other entities than these do.
    assert [member.result for member in many.members] == [alone.members[0].result] * copies
    for one, other in zip(entities(alone), entities(many), strict=True):
        assert np.isclose(one["score"], other["score"])


def _place(entity: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(value for name, value in entity.items() if name != "score")


@given(TEXTS, WINDOWS, AGGREGATIONS, STRATEGIES, st.permutations("abc"))
def test_members_in_any_order_give_the_same_answer(
    text: str, window: Window, aggregation: str, combine: str, order: Sequence[str]
) -> None:
    params = {"aggregation": aggregation, "combine": combine}
    one = answered(text, spec_of("abc", window), **params)
    other = answered(text, spec_of(order, window), **params)

    assert (one.result, one.agreement, one.entropy) == (
        other.result, other.agreement, other.entropy,
    )  # fmt: skip
