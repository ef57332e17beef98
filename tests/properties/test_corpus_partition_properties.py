"""However a corpus is cut, nothing is lost, nothing comes twice, and it is cut so every time."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.offline.corpus.partition_plan import PartitionPlan
from streamproc.offline.corpus.partitioner import partition_corpus
from tests.support.corpora import contents, lines, plan

ROW = st.fixed_dictionaries(
    {
        "text": st.one_of(st.text(), st.sampled_from(["a", "A", "b "])),
        "label": st.one_of(st.integers(), st.text(max_size=3)),
        "shop": st.sampled_from(["a", "B", "é c", "9"]),
    }
)
ROWS = st.lists(ROW, min_size=1, max_size=12)
BY = st.sampled_from(["shop", "hash:1", "hash:3"])
SEEDS = st.integers(0, 2**32 - 1)


def reported(folder: str, by: str, seed: int, **splits: list[dict[str, Any]]) -> PartitionPlan:
    asked = plan(Path(folder), by, **splits)
    return dataclasses.replace(asked, seed=seed, duplicates="report")


@given(ROWS, ROWS, BY, SEEDS)
@settings(max_examples=40)
def test_every_row_is_in_one_partition_unchanged_and_in_its_order(
    train: list[dict[str, Any]], valid: list[dict[str, Any]], by: str, seed: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        done = partition_corpus(reported(folder, by, seed, train=train, valid=valid))
        written = lines(done.out)

    for split, rows in (("train", train), ("valid", valid)):
        given_lines = [json.dumps(row) for row in rows]
        parts = {part: own for (part, name), own in written.items() if name == split}
        assert sorted(line for own in parts.values() for line in own) == sorted(given_lines)
        assert {part: len(own) for part, own in parts.items()} == {
            part: stats.rows[split] for part, stats in done.stats.items() if stats.rows[split]
        }
        for own in parts.values():
            kept = set(own)
            assert own == [line for line in given_lines if line in kept]


@given(ROWS, BY, SEEDS)
@settings(max_examples=20)
def test_the_same_row_is_in_the_same_partition_whatever_its_split_and_its_company(
    rows: list[dict[str, Any]], by: str, seed: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        done = partition_corpus(
            reported(folder, by, seed, train=rows, valid=rows[::-1], test=rows[:1])
        )
        written = lines(done.out)

    place = {
        line: part for (part, split), own in written.items() if split == "train" for line in own
    }
    for (part, _), own in written.items():
        assert {place[line] for line in own} == {part}


@given(ROWS, ROWS, BY, SEEDS)
@settings(max_examples=20)
def test_the_same_seed_makes_the_same_bytes(
    train: list[dict[str, Any]], valid: list[dict[str, Any]], by: str, seed: int
) -> None:
    made = []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as folder:
            made.append(
                contents(partition_corpus(reported(folder, by, seed, train=train, valid=valid)).out)
            )

    assert made[0] == made[1]


@given(ROWS, ROWS, ROWS, BY)
@settings(max_examples=20)
def test_when_duplicates_are_dropped_no_two_splits_share_a_text(
    train: list[dict[str, Any]], valid: list[dict[str, Any]], test: list[dict[str, Any]], by: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asked = reported(folder, by, 0, train=train, valid=valid, test=test)
        done = partition_corpus(dataclasses.replace(asked, duplicates="drop"))
        written = lines(done.out)

    texts: dict[str, set[str]] = {"train": set(), "valid": set(), "test": set()}
    for (_, split), own in written.items():
        texts[split] |= {json.loads(line)["text"] for line in own}
    assert texts["train"] == {row["text"] for row in train}
    assert not texts["train"] & texts["valid"]
    assert not (texts["train"] | texts["valid"]) & texts["test"]
