"""Corpora cut into partitions on disk."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from streamproc.errors import TrainingError
from streamproc.offline.corpus.description import read_partitions
from streamproc.offline.corpus.part_files import MAX_PARTS
from streamproc.offline.corpus.partitioner import partition_corpus
from streamproc.offline.corpus.records import Columns
from streamproc.offline.corpus.rows import Source
from tests.support.corpora import contents, lines, plan, source

TRAIN: list[dict[str, Any]] = [
    {"text": "a lamp", "label": 1, "shop": "Lights & Co"},
    {"text": "a bike", "label": 0, "shop": "wheels"},
    {"text": "a bulb", "label": 1, "shop": "Lights & Co"},
]
VALID: list[dict[str, Any]] = [{"text": "a saddle", "label": 0, "shop": "wheels"}]


def described(out: Path) -> dict[str, Any]:
    return tomllib.loads((out / "partition.toml").read_text(encoding="utf-8"))


def test_each_value_of_a_field_becomes_a_folder_with_a_file_a_split(tmp_path: Path) -> None:
    partition_corpus(plan(tmp_path, "shop", train=TRAIN, valid=VALID))

    assert {
        key: [json.loads(line) for line in own] for key, own in lines(tmp_path / "out").items()
    } == {
        ("lights-co", "train"): [TRAIN[0], TRAIN[2]],
        ("wheels", "train"): [TRAIN[1]],
        ("wheels", "valid"): VALID,
    }


def test_lines_of_json_are_written_as_they_were(tmp_path: Path) -> None:
    line = '{"label":1.50,  "text": "\\u00e4\\ud83d\\ude00 ä", "text": "twice"}'
    (tmp_path / "c.jsonl").write_text(f"\n {line} \r\n", encoding="utf-8")
    asked = plan(tmp_path, "hash:1", train=TRAIN)

    partition_corpus(
        dataclasses.replace(asked, splits={"train": [Source("c", tmp_path / "c.jsonl")]})
    )

    assert lines(tmp_path / "out") == {("part-1-of-1", "train"): [line]}


def test_the_description_says_how_partitions_were_made_and_what_is_in_them(tmp_path: Path) -> None:
    partition_corpus(plan(tmp_path, "shop", train=TRAIN, valid=VALID))

    said = described(tmp_path / "out")

    assert (said["by"], said["seed"], said["by_content"]) == ("shop", 0, True)
    assert said["duplicates"] == {"policy": "refuse"}
    assert [(i["split"], i["name"], i["file"], i["rows"]) for i in said["inputs"]] == [
        ("train", "mine", "train.jsonl", 3),
        ("valid", "mine", "valid.jsonl", 1),
    ]
    lights, wheels = said["partitions"]
    assert lights["name"] == "lights-co"
    assert lights["rows"] == {"train": 2, "valid": 0}
    assert lights["labels"] == {"train": {"1": 2}}
    assert sorted(lights["sample"]) == ["a bulb", "a lamp"]
    assert wheels["labels"] == {"train": {"0": 1}, "valid": {"0": 1}}


def test_the_description_is_toml_whatever_labels_and_texts_are(tmp_path: Path) -> None:
    odd = 'a"b\\ c.d\x7f\x00[é]'
    partition_corpus(
        plan(tmp_path, "hash:1", train=[{"text": odd, "label": odd}, {"text": "", "label": ""}])
    )

    (part,) = described(tmp_path / "out")["partitions"]

    assert part["labels"]["train"] == {odd: 1, "": 1}


def test_a_seed_gives_other_hash_parts(tmp_path: Path) -> None:
    rows = [{"text": f"text {n}", "label": 0} for n in range(50)]
    zero = plan(tmp_path, "hash:2", train=rows)
    one = dataclasses.replace(zero, seed=1, out=tmp_path / "one")

    partition_corpus(zero)
    partition_corpus(one)

    assert lines(zero.out) != lines(one.out)


def test_splits_that_share_texts_are_refused_with_some_of_them_and_nothing_is_left(
    tmp_path: Path,
) -> None:
    leaky = plan(tmp_path, "shop", train=TRAIN, valid=[*VALID, {**TRAIN[1], "text": "A  Bike"}])

    with pytest.raises(TrainingError) as refused:
        partition_corpus(leaky)

    assert "1 of valid in train" in str(refused.value)
    assert "valid.jsonl, line 2 (in train too): 'A  Bike'" in str(refused.value)
    assert "--duplicates drop" in str(refused.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train.jsonl", "valid.jsonl"]


def test_shared_texts_are_kept_and_counted_or_dropped_from_the_later_split(tmp_path: Path) -> None:
    leaky = plan(
        tmp_path, "hash:1", train=TRAIN, valid=[*TRAIN[:1], *VALID], test=[*VALID, TRAIN[1]]
    )
    report = dataclasses.replace(leaky, duplicates="report", out=tmp_path / "report")
    drop = dataclasses.replace(leaky, duplicates="drop", out=tmp_path / "drop")

    kept, dropped = partition_corpus(report), partition_corpus(drop)

    counts = {"valid in train": 1, "test in valid": 1, "test in train": 1}
    assert described(report.out)["duplicates"] == {"policy": "report", **counts}
    assert described(drop.out)["duplicates"] == {"policy": "drop", **counts}
    assert kept.stats["part-1-of-1"].rows == {"train": 3, "valid": 2, "test": 2}
    assert dropped.stats["part-1-of-1"].rows == {"train": 3, "valid": 1}


def test_tagged_words_questions_and_pairs_are_cut_by_what_their_members_are_cut_by(
    tmp_path: Path,
) -> None:
    answers: dict[str, list[Any]] = {"text": ["x"], "answer_start": [0]}
    nothing: dict[str, list[Any]] = {"text": [], "answer_start": []}
    rows: list[Mapping[str, Any]] = [
        {"tokens": ["Ada", "slept"], "tags": ["B-PER", "O"]},
        {"tokens": ["Bob", "Lee", "Rome"], "tags": ["B-PER", "I-PER", "B-LOC"]},
        {"question": "Who?", "context": "x", "answers": answers},
        {"question": "Why?", "context": "x", "answers": nothing},
        {"src": "Yes.", "tgt": "Ja."},
    ]
    done = partition_corpus(plan(tmp_path, "hash:1", train=rows))

    stats = done.stats["part-1-of-1"]

    assert stats.labels["train"] == {"PER": 2, "LOC": 1, "answer": 1, "no answer": 1}
    assert sorted(stats.texts.texts()) == ["Ada slept", "Bob Lee Rome", "Yes.", "x"]


def test_csv_and_parquet_become_the_same_rows_as_json(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = [{"body": "häh,\n?", "kind": "1"}, {"body": "", "kind": "2"}]
    (tmp_path / "c.csv").write_bytes('body,kind\n"häh,\n?",1\n,2\n'.encode())
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "c.parquet")
    source(tmp_path / "c.jsonl", rows)
    asked = plan(tmp_path, "hash:1", train=TRAIN)
    written = []
    for kind in ("jsonl", "csv", "parquet"):
        asked = dataclasses.replace(
            asked,
            splits={"train": [Source("c", tmp_path / f"c.{kind}")]},
            columns=Columns("body", "kind"),
            out=tmp_path / kind,
        )
        partition_corpus(asked)
        (own,) = lines(asked.out).values()
        written.append([json.loads(line) for line in own])

    assert written == [rows, rows, rows]


def test_a_parquet_value_that_json_has_no_form_for_is_told_with_its_row(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = [{"text": "a", "raw": None}, {"text": "b", "raw": b"b"}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "c.parquet")
    asked = plan(tmp_path, "hash:1", train=TRAIN)
    asked = dataclasses.replace(asked, splits={"train": [Source("c", tmp_path / "c.parquet")]})

    with pytest.raises(TrainingError, match=r"c\.parquet, line 2: JSON has no form.*bytes"):
        partition_corpus(asked)

    assert not asked.out.exists()


def test_a_folder_that_is_there_already_is_left_alone(tmp_path: Path) -> None:
    asked = plan(tmp_path, "shop", train=TRAIN)
    partition_corpus(asked)
    before = contents(asked.out)

    with pytest.raises(TrainingError, match="is there already"):
        partition_corpus(asked)

    assert contents(asked.out) == before


def test_more_partitions_than_there_can_be_models_are_refused_and_nothing_is_left(
    tmp_path: Path,
) -> None:
    rows = [{"text": str(n), "label": 0, "id": str(n)} for n in range(MAX_PARTS + 1)]
    asked = plan(tmp_path, "id", train=rows)

    with pytest.raises(TrainingError, match="hash:N, or by cluster:N"):
        partition_corpus(asked)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["train.jsonl"]


def test_a_split_without_rows_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"valid\.jsonl: no rows"):
        partition_corpus(plan(tmp_path, "shop", train=TRAIN, valid=[]))


def test_a_folder_is_read_back_as_the_sources_of_its_partitions(tmp_path: Path) -> None:
    partition_corpus(plan(tmp_path, "shop", train=TRAIN, valid=VALID))

    found = read_partitions(tmp_path / "out")

    assert [source.name for source in found.sources("train")] == ["lights-co", "wheels"]
    assert found.sources("valid") == [
        Source("wheels", tmp_path / "out" / "wheels" / "valid.jsonl.gz")
    ]
    assert found.labels == ["0", "1"]
    assert (found.by.description, found.by.by_content) == ("by field 'shop'", True)
    with pytest.raises(TrainingError, match="again with --test FILE"):
        found.sources("test")


@pytest.mark.parametrize("written", ["", "format = 1", "[[", "partitions = [1]"])
def test_a_folder_that_was_not_cut_is_an_error_that_names_the_file(
    written: str, tmp_path: Path
) -> None:
    if written:
        (tmp_path / "partition.toml").write_text(written, encoding="utf-8")

    with pytest.raises(TrainingError, match=r"partition\.toml"):
        read_partitions(tmp_path)
