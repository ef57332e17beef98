from __future__ import annotations

import json
from pathlib import Path

import pytest

from streamproc.errors import TrainingError
from streamproc.offline.corpus.items import batched, labels_in, read_items
from streamproc.offline.corpus.records import Columns
from streamproc.offline.corpus.rows import Source


def source(path: Path, *rows: object) -> Source:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return Source("shop", path)


def test_a_batch_is_bounded_by_all_that_its_rows_hold_not_by_their_texts_alone(
    tmp_path: Path,
) -> None:
    rows = [{"text": f"short {number}", "page": "x" * (1 << 20)} for number in range(12)]

    batches = list(batched(read_items(source(tmp_path / "c.jsonl", *rows), Columns())))

    assert [item.text for batch in batches for item in batch] == [row["text"] for row in rows]
    assert max(map(len, batches)) <= 4


def test_a_corpus_has_the_labels_of_its_rows_each_once_in_alphabetical_order(
    tmp_path: Path,
) -> None:
    texts = source(tmp_path / "a.jsonl", {"text": "a", "label": 1}, {"text": "b", "label": "no"})
    tagged = source(
        tmp_path / "b.jsonl",
        {"tokens": ["Ada", "Lovelace", "in", "Bath"], "tags": ["B-PER", "I-PER", "O", "B-LOC"]},
        {"tokens": ["Bath"], "tags": ["B-LOC"]},
    )

    assert labels_in([texts], Columns()) == ["1", "no"]
    assert labels_in([tagged], Columns()) == ["LOC", "PER"]
    assert labels_in([texts, texts], Columns(label="verdict")) == []


def test_what_has_no_end_of_labels_is_no_label(tmp_path: Path) -> None:
    rows = [{"text": "a", "label": number} for number in range(10_001)]

    with pytest.raises(TrainingError, match=r"line 10001: more than 10000 different labels"):
        labels_in([source(tmp_path / "c.jsonl", *rows)], Columns())
