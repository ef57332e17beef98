"""Partitions by topic. What tells topics apart is made here, and sees first words only."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sklearn")

from streamproc.errors import TrainingError
from streamproc.offline.corpus.clusters import fit_clusters
from streamproc.offline.corpus.partition_plan import PartitionPlan
from streamproc.offline.corpus.partitioner import partition_corpus
from streamproc.offline.corpus.records import LabelledText
from tests.support.corpora import FirstWords, contents, lines, plan

pytestmark = pytest.mark.train

TOPICS = ("cats",) * 30 + ("dogs",) * 20 + ("fish",) * 10
TRAIN: list[dict[str, Any]] = [
    {"text": f"{topic} {n}", "label": n % 2} for n, topic in enumerate(TOPICS)
]
VALID = [{"text": f"{topic} of mine", "label": 0} for topic in ("fish", "cats")]


def by_topic(folder: Path, **other: Any) -> PartitionPlan:
    asked = plan(folder, "cluster:3", train=TRAIN, valid=VALID)
    return dataclasses.replace(asked, features=FirstWords(), **other)


def test_each_topic_is_a_partition_the_largest_first_in_every_split(tmp_path: Path) -> None:
    partition_corpus(by_topic(tmp_path))

    topics = {
        key: {line.split('"')[3].split()[0] for line in own}
        for key, own in lines(tmp_path / "out").items()
    }

    assert topics == {
        ("cluster-1-of-3", "train"): {"cats"},
        ("cluster-1-of-3", "valid"): {"cats"},
        ("cluster-2-of-3", "train"): {"dogs"},
        ("cluster-3-of-3", "train"): {"fish"},
        ("cluster-3-of-3", "valid"): {"fish"},
    }


def test_the_description_has_the_centre_and_the_texts_nearest_to_it(tmp_path: Path) -> None:
    partition_corpus(by_topic(tmp_path))

    said = tomllib.loads((tmp_path / "out" / "partition.toml").read_text(encoding="utf-8"))

    assert "3 clusters of first words" in said["description"]
    (cats, _, _) = said["partitions"]
    assert cats["centroid"] == pytest.approx(FirstWords().of(["cats"])[0].tolist(), abs=1e-5)
    assert [text.split()[0] for text in cats["nearest"]] == ["cats"] * len(cats["nearest"])


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    partition_corpus(by_topic(tmp_path, seed=7))
    partition_corpus(by_topic(tmp_path, seed=7, out=tmp_path / "again"))

    assert contents(tmp_path / "out") == contents(tmp_path / "again")


def test_clusters_do_not_depend_on_the_order_of_a_corpus_nor_on_what_is_not_trained_on(
    tmp_path: Path,
) -> None:
    (tmp_path / "other").mkdir()
    asked = plan(
        tmp_path / "other",
        "cluster:3",
        train=TRAIN[::-1],
        valid=TRAIN[:0] or [{"text": "x", "label": 1}],
    )

    once = partition_corpus(by_topic(tmp_path)).by
    other = partition_corpus(dataclasses.replace(asked, features=FirstWords())).by

    for row in (*TRAIN, *VALID):
        record = LabelledText(row["text"], "", {})
        assert once.part_of(record) == other.part_of(record)


def test_centres_are_fitted_on_no_more_texts_than_asked(tmp_path: Path) -> None:
    seen: list[int] = []

    class Counting(FirstWords):
        def of(self, texts: Any) -> Any:
            seen.append(len(texts))
            return super().of(texts)

    partition_corpus(dataclasses.replace(by_topic(tmp_path), features=Counting(), sample_texts=12))

    assert seen == [12, len(TRAIN), len(VALID)]


def test_fewer_texts_than_clusters_are_refused() -> None:
    with pytest.raises(TrainingError, match="3 clusters need as many different texts; there are 2"):
        fit_clusters(["a", "b"], 3, FirstWords(), 0)
