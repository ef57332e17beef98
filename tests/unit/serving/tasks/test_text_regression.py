"""Texts that are given numbers: nothing is made a probability of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from streamproc.errors import Invalid, MemberFailed
from streamproc.serving.chunking.windows import Chunk
from streamproc.serving.inference.batch import MemberOutput
from streamproc.serving.tasks.catalogue import task_named
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.task import Answer
from streamproc.testing import build_spec

TASK = task_named("text-classification")
LONG = "good film the bad " * 10


def spec_of(*members: str, labels: Sequence[str] = ("stars",), **more: Any) -> EnsembleSpec:
    return build_spec(members, labels=labels, quorum=1, problem_type="regression", **more)


def answered(
    said: Sequence[Sequence[Sequence[float] | None]],
    text: str = "x",
    spec: EnsembleSpec | None = None,
    **params: Any,
) -> tuple[Answer, list[Chunk]]:
    """The answer when members say said[chunk][member]; the last chunk's say is repeated."""
    spec = spec or spec_of(*"ab"[: len(said[0])])
    job = TASK.begin({"text": text}, params, spec)
    chunks = list(job.chunks())
    for index, chunk in enumerate(chunks):
        outputs = [
            MemberOutput(
                member.name,
                None if own is None else np.array(own, np.float64),
                MemberFailed(member.name, "broken") if own is None else None,
            )
            for member, own in zip(spec.members, said[min(index, len(said) - 1)], strict=True)
        ]
        job.add(chunk, outputs)
    return job.answer(), chunks


def test_one_member_on_one_chunk_is_its_number() -> None:
    answer, _ = answered([[[-2.05]]])

    assert answer.result == {"value": -2.05, "spread": 0.0}
    assert answer.agreement is answer.entropy is None


def test_members_are_averaged_and_their_spread_told() -> None:
    answer, _ = answered([[[4.0], [3.0]]], return_members=True)

    assert answer.result == {"value": 3.5, "spread": 0.5}
    assert [member.result for member in answer.members] == [{"value": 4.0}, {"value": 3.0}]


def test_chunks_count_by_their_tokens() -> None:
    answer, chunks = answered([[[5.0]], [[-1.0]]], LONG)

    tokens = np.array([chunk.content_tokens for chunk in chunks])
    assert len(set(tokens)) > 1
    value = (5.0 * tokens[0] - tokens[1:].sum()) / tokens.sum()
    assert answer.result["value"] == pytest.approx(value)


def test_the_largest_number_of_any_chunk_may_be_asked_for_though_all_are_below_zero() -> None:
    answer, _ = answered([[[-5.0]], [[-2.0]], [[-9.0]]], LONG, aggregation="max")

    assert answer.result["value"] == -2.0


def test_several_numbers_have_their_names() -> None:
    spec = spec_of("a", "b", labels=["valence", "arousal"])

    answer, _ = answered([[[1.5, -2.0], [0.5, -2.0]]], spec=spec, return_members=True)

    assert answer.result == {
        "values": {
            "valence": {"value": 1.0, "spread": 0.5},
            "arousal": {"value": -2.0, "spread": 0.0},
        }
    }
    assert answer.members[0].result == {
        "values": {"valence": {"value": 1.5}, "arousal": {"value": -2.0}}
    }


def test_members_that_name_their_numbers_in_another_order_are_put_together_by_name() -> None:
    spec = spec_of(
        "a", "b", labels=["valence", "arousal"], member_labels={"b": ["arousal", "", "valence"]}
    )

    answer, _ = answered([[[1.0, 2.0], [4.0, 9.0, 3.0]]], spec=spec)

    assert answer.result["values"]["valence"] == {"value": 2.0, "spread": 1.0}
    assert answer.result["values"]["arousal"] == {"value": 3.0, "spread": 1.0}


def test_a_member_missing_in_one_chunk_counts_in_the_others() -> None:
    answer, chunks = answered([[[2.0], None], [[2.0], [4.0]]], LONG, return_members=True)

    tokens = np.array([chunk.content_tokens for chunk in chunks])
    value = (2.0 * tokens[0] + 3.0 * tokens[1:].sum()) / tokens.sum()
    assert answer.result["value"] == pytest.approx(value)
    assert answer.members[1].result == {"value": pytest.approx(4.0)}
    assert [member.status for member in answer.members] == ["ok", "failed"]


@pytest.mark.parametrize(
    "params",
    [
        {"top_k": 2},
        {"threshold": 0.5},
        {"aggregation": "vote"},
        {"combine": "vote"},
        {"combine": "logit_mean"},
    ],
)
def test_what_means_something_for_labels_alone_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="gives numbers") as invalid:
        TASK.begin({"text": "x"}, params, spec_of("a"))

    assert invalid.value.detail.startswith(f"params.{next(iter(params))}: ")
