"""Members learn from exactly the chunks that a worker makes, and from so many of each record."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("optimum")

from streamproc.errors import Invalid
from streamproc.offline.corpus.partitioning import CorpusRecord
from streamproc.offline.corpus.questions import Question
from streamproc.offline.corpus.records import LabelledText
from streamproc.offline.corpus.tagged import TaggedText
from streamproc.offline.training.base import Base
from streamproc.offline.training.encoder import EncoderTask
from streamproc.offline.training.labelled_chunks import LabelledChunks, draw
from streamproc.offline.training.question_answering import QuestionAnswering
from streamproc.offline.training.record_requests import one_member_spec
from streamproc.offline.training.text_classification import TextClassification
from streamproc.offline.training.token_classification import TokenClassification
from streamproc.serving.chunking.tokens import TextTokenizer
from streamproc.serving.chunking.windows import Chunk, Window
from streamproc.serving.tasks.catalogue import task_named
from streamproc.testing import tokenizer_json
from tests.support.awkward_texts import TEXTS

pytestmark = pytest.mark.train

TOKENIZER = TextTokenizer(tokenizer_json(("good", "film", "the", "中", "e", "##e")))
NOWHERE = Base(Path("nowhere"), "none")
WINDOWS = st.integers(12, 32).flatmap(
    lambda size: st.builds(Window, st.just(size), st.integers(0, size // 4))
)


def as_record(task: str, text: str) -> tuple[EncoderTask[Any], CorpusRecord, dict[str, str]]:
    """A task, a record of it, and what a worker is asked about the text."""
    if task == "text-classification":
        names = {"a": "A", "b": "B"}
        return TextClassification(NOWHERE, names=names), LabelledText(text, "b", {}), {"text": text}
    if task == "token-classification":
        words = tuple(text.split())
        tagged = TaggedText(words, ("B-PER",) * len(words), {})
        named = TokenClassification(NOWHERE, names={"PER": "PER"})
        return named, tagged, {"text": " ".join(words)}
    asked = Question("the film", text, (), {})
    return QuestionAnswering(NOWHERE), asked, {"question": "the film", "context": text}


@given(
    st.sampled_from(["text-classification", "token-classification", "question-answering"]),
    st.lists(TEXTS, min_size=1, max_size=3),
    WINDOWS,
)
def test_what_is_learned_from_is_what_a_worker_makes_of_the_text(
    name: str, texts: list[str], window: Window
) -> None:
    expected: list[tuple[int, Chunk]] = []
    records = []
    for number, text in enumerate(texts):
        task, record, inputs = as_record(name, text)
        spec = one_member_spec(TOKENIZER, task.labels(), window)
        records.append(record)
        try:
            made = list(task_named(name).begin(inputs, {}, spec).chunks())
        except Invalid:  # a worker would not answer: there is nothing to learn
            continue
        expected += [(number, chunk) for chunk in made]

    learned = LabelledChunks(task.chunks(enumerate(records), spec))

    assert learned.records.tolist() == [number for number, _ in expected]
    assert learned.lengths.tolist() == [len(chunk) for _, chunk in expected]
    for place, (_, chunk) in enumerate(expected):
        assert learned[place].chunk.ids.tolist() == chunk.ids.tolist()
        assert learned[place].chunk.type_ids.tolist() == chunk.type_ids.tolist()


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(1, 4), st.integers())
def test_of_each_record_so_many_chunks_are_drawn_and_none_twice(
    counts: list[int], most: int, seed: int
) -> None:
    records = np.repeat(np.arange(len(counts)), counts)

    drawn = draw(records, most, random.Random(seed))

    chosen = Counter(records[drawn].tolist())
    assert chosen == {record: min(most, count) for record, count in enumerate(counts)}
    assert sorted(set(drawn.tolist())) == drawn.tolist()
