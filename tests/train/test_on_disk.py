from __future__ import annotations

import gc
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("optimum")

from streamproc.offline.corpus.records import LabelledText
from streamproc.offline.training.labelled_chunks import LabelledChunk, LabelledChunks
from streamproc.offline.training.on_disk import Records, TokenRows
from streamproc.offline.training.record_requests import one_member_spec
from streamproc.serving.chunking.tokens import TextTokenizer
from streamproc.serving.chunking.windows import Window
from tests.support.training_plans import review_recipe

pytestmark = pytest.mark.train


@dataclass(frozen=True)
class Thing:
    name: str


def alive(kind: type) -> int:
    return sum(isinstance(one, kind) for one in gc.get_objects())


def test_records_come_back_as_they_were_from_any_place() -> None:
    things = [Thing("x" * number) for number in range(50)]

    kept = Records(iter(things))

    assert list(kept) == things
    assert kept[7] == things[7]
    assert kept[-1] == things[-1]
    assert kept[5:9] == things[5:9]
    assert len(kept) == 50
    with pytest.raises(IndexError):
        kept[50]


def test_rows_can_be_added_after_some_were_read() -> None:
    rows = TokenRows([[1, 2, 3], [], [-100, 70_000]])
    assert rows.lengths().tolist() == [3, 0, 2]

    rows.append(np.array([9]))

    assert [row.tolist() for row in rows] == [[1, 2, 3], [], [-100, 70_000], [9]]
    assert rows.lengths().tolist() == [3, 0, 2, 1]


@pytest.mark.parametrize("count", [2_000, 6_000])
def test_however_many_records_there_are_few_are_in_memory_at_once(base: Path, count: int) -> None:
    most = 0

    def texts() -> Iterator[LabelledText]:
        nonlocal most
        for number in range(count):
            yield LabelledText(f"it was really good {number}", str(number % 2), {})
            if number % 1_000 == 999:
                most = max(most, alive(LabelledText))

    before = alive(LabelledText)
    task = review_recipe(base)
    setup = task.setup(task.prepare(texts(), 0), 0)
    member = setup.new_member(
        Records(texts()), Records([LabelledText("it was bad", "0", {})]), 16, 0
    )

    # So many go through the tokenizer at once.
    assert most - before <= 600
    assert alive(LabelledText) - before <= 600
    assert member.steps == -(-count // 16)


def test_chunks_are_read_when_they_are_asked_for(base: Path) -> None:
    task = review_recipe(base)
    tokenizer = TextTokenizer(
        task.prepare([LabelledText("it was good", "1", {})], 0).tokenizer.to_str().encode()
    )
    texts = [LabelledText("it was really good " * (1 + n % 20), str(n % 2), {}) for n in range(400)]
    spec = one_member_spec(tokenizer, task.labels(), Window(16, 4))
    chunks = LabelledChunks(task.chunks(enumerate(texts), spec))

    made = []
    for batch in chunks.batches(np.arange(len(chunks)), 8, random.Random(0)):
        made.append(len(batch.chunks))
        if len(made) in {50, 100}:  # looking through all objects takes a while
            assert alive(LabelledChunk) <= 16

    assert sum(made) == len(chunks) > 1_000
