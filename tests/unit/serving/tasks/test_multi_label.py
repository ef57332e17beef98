"""Texts that may have several labels at once: a sigmoid for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from streamproc.errors import Invalid, MemberFailed
from streamproc.serving.chunking.windows import Chunk
from streamproc.serving.ensembling.heads import logits_of
from streamproc.serving.inference.batch import MemberOutput
from streamproc.serving.tasks.catalogue import task_named
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.task import Answer
from streamproc.testing import build_spec
from streamproc.types import FloatArray

TASK = task_named("text-classification")
LABELS = ("refund", "delivery", "praise")
LONG = "good film the bad " * 10


def spec_of(*members: str, **more: Any) -> EnsembleSpec:
    return build_spec(
        members, labels=LABELS, quorum=1, problem_type="multi_label_classification", **more
    )


def says(*probabilities: float) -> FloatArray:
    return logits_of(np.array(probabilities))


def answered(
    said: Sequence[Sequence[FloatArray | None]],
    text: str = "x",
    spec: EnsembleSpec | None = None,
    **params: Any,
) -> tuple[Answer, list[Chunk]]:
    """The answer when members say said[chunk][member]; the last chunk's say is repeated."""
    spec = spec or spec_of(*"ab"[: len(said[0])])
    job = TASK.begin({"text": text}, params, spec)
    chunks = list(job.chunks())
    for index, chunk in enumerate(chunks):
        scores = said[min(index, len(said) - 1)]
        outputs = [
            MemberOutput(m.name, s, MemberFailed(m.name, "broken") if s is None else None)
            for m, s in zip(spec.members, scores, strict=True)
        ]
        job.add(chunk, outputs)
    return job.answer(), chunks


def test_members_that_choose_other_labels_are_told_with_the_labels_of_each() -> None:
    answer, _ = answered([[says(0.9, 0.8, 0.1), says(0.2, 0.7, 0.1)]])
    agreed, _ = answered([[says(0.9, 0.8, 0.1), says(0.6, 0.7, 0.3)]])

    assert answer.choices is not None
    assert answer.choices.together == "refund, delivery"
    assert answer.choices.members == {"a": "refund, delivery", "b": "delivery"}
    assert agreed.choices is None


def test_every_label_has_its_own_probability_and_those_above_the_threshold_are_chosen() -> None:
    answer, _ = answered([[says(0.6, 0.9, 0.1)]])

    assert answer.result["labels"] == ["delivery", "refund"]
    assert answer.result["scores"] == pytest.approx({"delivery": 0.9, "refund": 0.6, "praise": 0.1})
    assert list(answer.result["scores"]) == ["delivery", "refund", "praise"]
    assert (answer.result["label"], answer.result["score"]) == ("delivery", pytest.approx(0.9))
    assert answer.agreement == 1


@pytest.mark.parametrize(
    ("threshold", "chosen"),
    [(0.0, 3), (0.2, 2), (0.7, 1), (0.95, 0)],
)
def test_a_request_may_set_the_threshold(threshold: float, chosen: int) -> None:
    answer, _ = answered([[says(0.6, 0.9, 0.1)]], threshold=threshold)

    assert answer.result["labels"] == ["delivery", "refund", "praise"][:chosen]
    assert len(answer.result["scores"]) == 3


def test_top_k_bounds_what_scores_lists_and_nothing_else() -> None:
    answer, _ = answered([[says(0.6, 0.9, 0.1)]], top_k=1)

    assert list(answer.result["scores"]) == ["delivery"]
    assert answer.result["labels"] == ["delivery", "refund"]


def test_members_are_averaged_label_by_label() -> None:
    answer, _ = answered([[says(0.6, 0.9, 0.1), says(0.2, 0.7, 0.9)]], return_members=True)

    assert answer.result["scores"] == pytest.approx({"delivery": 0.8, "praise": 0.5, "refund": 0.4})
    assert answer.result["labels"] == ["delivery", "praise"]
    assert [m.result and m.result["labels"] for m in answer.members] == [
        ["delivery", "refund"],
        ["praise", "delivery"],
    ]
    # All agree on delivery, half of them on each other label.
    assert answer.agreement == pytest.approx((1 + 0.5 + 0.5) / 3)


def test_a_label_of_any_part_of_a_long_text_is_one_of_the_text() -> None:
    answer, chunks = answered([[says(0.9, 0.1, 0.2)], [says(0.1, 0.1, 0.3)]], LONG)

    assert len(chunks) > 2
    assert answer.result["labels"] == ["refund"]
    assert answer.result["scores"] == pytest.approx({"refund": 0.9, "praise": 0.3, "delivery": 0.1})


def test_a_mean_over_chunks_counts_by_tokens() -> None:
    answer, chunks = answered(
        [[says(0.9, 0.1, 0.2)], [says(0.1, 0.1, 0.2)]], LONG, aggregation="mean"
    )

    tokens = np.array([chunk.content_tokens for chunk in chunks])
    refund = (0.9 * tokens[0] + 0.1 * tokens[1:].sum()) / tokens.sum()
    assert len(set(tokens)) > 1
    assert answer.result["scores"]["refund"] == pytest.approx(refund)


def test_vote_is_the_share_of_chunks_that_have_a_label() -> None:
    answer, chunks = answered(
        [[says(0.9, 0.1, 0.2)], [says(0.1, 0.1, 0.6)]], LONG, aggregation="vote"
    )

    share = 1 / len(chunks)
    assert answer.result["scores"] == pytest.approx(
        {"praise": 1 - share, "refund": share, "delivery": 0}
    )


@pytest.mark.parametrize("aggregation", ["max", "mean", "vote"])
def test_a_label_that_a_member_lacks_is_neither_its_vote_nor_its_own_result(
    aggregation: str,
) -> None:
    spec = spec_of("a", "b", member_labels={"b": ["praise", ""]})

    answer, _ = answered(
        [[says(0.9, 0.2, 0.4), says(0.8, 0.5)]],
        spec=spec,
        aggregation=aggregation,
        return_members=True,
    )

    own = answer.members[1].result
    assert own is not None
    assert list(own["scores"]) == ["praise"]
    if aggregation != "vote":
        assert answer.result["scores"]["refund"] == pytest.approx(0.9)
        assert answer.result["scores"]["praise"] == pytest.approx(0.6)


def test_a_member_missing_in_one_chunk_is_reported_and_the_others_answer() -> None:
    answer, _ = answered(
        [[says(0.9, 0.1, 0.1), says(0.7, 0.1, 0.1)], [says(0.2, 0.1, 0.1), None]], LONG
    )

    assert [member.status for member in answer.members] == ["ok", "failed"]
    assert answer.result["scores"]["refund"] == pytest.approx(0.8)


def test_a_single_label_is_enough_where_labels_do_not_exclude_each_other() -> None:
    spec = build_spec(["a"], labels=["toxic"], problem_type="multi_label_classification")

    answer, _ = answered([[says(0.3)]], spec=spec)

    assert answer.result["labels"] == []
    assert answer.result["scores"] == pytest.approx({"toxic": 0.3})


def test_a_threshold_has_no_meaning_where_a_text_has_one_label() -> None:
    with pytest.raises(Invalid) as invalid:
        TASK.begin({"text": "x"}, {"threshold": 0.5}, build_spec())

    assert invalid.value.detail.startswith("params.threshold: 0.5, but ensemble tiny gives")
