"""What a chunk comes to is the same to the bit whatever it ran beside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.serving.chunking.windows import Chunk
from streamproc.serving.ensembling.combine import STRATEGIES
from streamproc.serving.ensembling.gate import Gate
from streamproc.serving.ensembling.heads import HEADS
from streamproc.serving.inference.batch import MemberOutput, RanTogether, Row
from streamproc.serving.tasks.task import AnyJob, ScoringTask
from streamproc.serving.tasks.text_classification import TextClassification
from streamproc.serving.tasks.token_classification import TokenClassification
from streamproc.testing import build_spec
from streamproc.types import FloatArray, ProblemType, Strategy

LABELS = tuple("abcdefghijklm")
NAMES = tuple("zyxwvutsrq")
TEXTS = st.lists(st.sampled_from(["good", "bad film", "the good film and the bad", "", "x"]),
                 min_size=1, max_size=9)  # fmt: skip


def answers(
    task: ScoringTask,
    texts: list[str],
    scores: Sequence[Sequence[FloatArray]],
    spec: Any,
    params: dict[str, Any],
    size: int,
) -> list[bytes]:
    """Of single-window texts, whose chunks run in batches of a size.

    scores: of each member, for each text
    """
    jobs: list[AnyJob] = [task.begin({"text": one}, params, spec) for one in texts]
    chunks: list[Chunk] = [next(job.chunks()) for job in jobs]
    found = []
    for first in range(0, len(jobs), size):
        part = slice(first, first + size)
        columns = [[*member[part]] for member in scores]
        together = RanTogether(chunks[part], range(len(columns)), columns)
        for place, (job, chunk) in enumerate(zip(jobs[part], chunks[part], strict=True)):
            row = Row(
                MemberOutput(name, column[place])
                for name, column in zip(NAMES, columns, strict=False)
            )
            row.together, row.place = together, place
            job.add(chunk, row)
            answer = job.answer()
            found.append(
                orjson.dumps(
                    [answer.result, answer.agreement, answer.entropy, [*map(str, answer.members)]]
                )
            )
    return found


@pytest.mark.parametrize("problem_type", HEADS)
@pytest.mark.parametrize("strategy", STRATEGIES)
@given(data=st.data(), texts=TEXTS, members=st.integers(1, 10), labels=st.integers(2, 13),
       size=st.integers(1, 9), seed=st.integers(0, 1 << 30))  # fmt: skip
def test_an_answer_is_the_same_to_the_bit_alone_and_beside_others(
    problem_type: ProblemType,
    strategy: Strategy,
    data: st.DataObject,
    texts: list[str],
    members: int,
    labels: int,
    size: int,
    seed: int,
) -> None:
    if strategy not in HEADS[problem_type].strategies:
        return
    random = np.random.default_rng(seed)
    spec = build_spec(
        NAMES[:members], labels=LABELS[:labels], max_tokens=64, problem_type=problem_type
    )
    evidence = random.normal(size=(spec.tokenizer.vocabulary_size, members))
    object.__setattr__(spec, "gate", Gate(evidence, 1.0))
    params: dict[str, Any] = {"combine": strategy}
    params["return_members"] = data.draw(st.booleans())
    drawn = random.normal(scale=4, size=(members, len(texts), labels))
    scores = [[*member] for member in drawn]

    alone = answers(TextClassification(), texts, scores, spec, params, 1)

    assert answers(TextClassification(), texts, scores, spec, params, size) == alone


@pytest.mark.parametrize("strategy", STRATEGIES)
@given(data=st.data(), texts=TEXTS, members=st.integers(1, 10), labels=st.integers(2, 13),
       size=st.integers(2, 9), seed=st.integers(0, 1 << 30))  # fmt: skip
def test_entities_are_the_same_to_the_bit_alone_and_beside_others(
    strategy: Strategy,
    data: st.DataObject,
    texts: list[str],
    members: int,
    labels: int,
    size: int,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    spec = build_spec(NAMES[:members], labels=LABELS[:labels], max_tokens=64)
    evidence = random.normal(size=(spec.tokenizer.vocabulary_size, members))
    object.__setattr__(spec, "gate", Gate(evidence, 1.0))
    object.__setattr__(spec, "temperature", data.draw(st.sampled_from([1.0, 1.3])))
    params: dict[str, Any] = {
        "combine": strategy,
        "aggregation": data.draw(st.sampled_from(["none", "simple", "first", "average", "max"])),
        "return_members": data.draw(st.booleans()),
        "ignore_labels": [],
    }
    task = TokenClassification()
    tokens = [len(next(task.begin({"text": one}, {}, spec).chunks())) for one in texts]
    scores = [
        [random.normal(scale=4, size=(count, labels)) for count in tokens] for _ in range(members)
    ]

    alone = answers(task, texts, scores, spec, params, 1)

    assert answers(task, texts, scores, spec, params, size) == alone
