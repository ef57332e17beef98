"""`partition.toml`: how a corpus was cut, and what its partitions look like."""

from __future__ import annotations

import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamproc import __version__
from streamproc.errors import TrainingError
from streamproc.offline.corpus.clusters import ByCluster
from streamproc.offline.corpus.partition_plan import PartitionPlan
from streamproc.offline.corpus.partition_stats import PartitionStats
from streamproc.offline.corpus.partitioning import CorpusRecord, Partitioning
from streamproc.offline.corpus.rows import Source
from streamproc.repository.files import sha256
from streamproc.repository.toml import TomlValue, to_toml

DESCRIPTION = "partition.toml"
_SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class ByFolder:
    """The partitions that a corpus was cut into before: its files are named for them."""

    description: str
    by_content: bool

    def part_of(self, record: CorpusRecord) -> str:
        return record.fields["corpus"]


@dataclass(frozen=True, slots=True)
class Partitions:
    """A folder that a corpus was cut into.

    splits: by name, the files of it, each named for its partition
    labels: of "train" and "valid", in alphabetical order
    """

    by: ByFolder
    splits: Mapping[str, Sequence[Source]]
    labels: Sequence[str]

    def sources(self, split: str) -> Sequence[Source]:
        """The files of a split; raises TrainingError when the corpus was cut without it."""
        if not self.splits.get(split):
            raise TrainingError(
                f"The partitions have no {split!r}: cut the corpus again with --{split} FILE."
            )
        return self.splits[split]


def write_description(
    out: Path,
    plan: PartitionPlan,
    by: Partitioning,
    stats: Mapping[str, PartitionStats],
    rows: Mapping[tuple[str, Path], int],
    leaked: Mapping[tuple[str, str], int],
) -> None:
    """Write `partition.toml`; no time and no place in it, so that the same run makes the same.

    rows:   read, by split and file
    leaked: by split and the earlier split that has the texts
    """
    about: dict[str, TomlValue] = {
        "format": 1,
        "by": plan.by,
        "description": by.description,
        "by_content": by.by_content,
        "seed": plan.seed,
        "text_field": plan.columns.text,
        "label_field": plan.columns.label,
        "versions": {"streamproc": __version__, "unicode": unicodedata.unidata_version},
    }
    if isinstance(by, ByCluster):
        about["sample_texts"] = plan.sample_texts
    shared: dict[str, TomlValue] = {"policy": plan.duplicates}
    shared |= {f"{split} in {earlier}": count for (split, earlier), count in leaked.items()}
    inputs = [
        {
            "split": split,
            "name": source.name,
            "file": source.path.name,
            "sha256": sha256(source.path),
            "rows": rows.get((split, source.path), 0),
        }
        for split, sources in plan.splits.items()
        for source in sources
    ]
    partitions: list[dict[str, Any]] = [
        {
            **_described(name, own, by),
            "rows": {split: own.rows[split] for split in plan.splits},
            "labels": {
                split: dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))
                for split, counts in own.labels.items()
                if counts
            },
        }
        for name, own in stats.items()
    ]
    written = {**about, "duplicates": shared, "inputs": inputs, "partitions": partitions}
    (out / DESCRIPTION).write_text(to_toml(written), encoding="utf-8")


def _described(name: str, own: PartitionStats, by: Partitioning) -> dict[str, TomlValue]:
    texts = [" ".join(text.split())[:_SHOWN_CHARACTERS] for text in own.texts.texts()]
    if not isinstance(by, ByCluster):
        return {"name": name, "sample": texts}
    centre = by.centres[list(by.names).index(name)]
    return {"name": name, "nearest": texts, "centroid": [round(float(x), 5) for x in centre]}


def read_partitions(folder: Path) -> Partitions:
    """What is in a folder that `partition_corpus` made; raises TrainingError."""
    path = folder / DESCRIPTION
    try:
        with path.open("rb") as file:
            described = tomllib.load(file)
        return _partitions(folder, described)
    except FileNotFoundError:
        raise TrainingError(
            f"{path}: not there; make the folder with `streamproc corpus partition`."
        ) from None
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise TrainingError(f"{path}: not what was written there: {error!r}.") from error


def _partitions(folder: Path, described: Mapping[str, Any]) -> Partitions:
    splits: dict[str, list[Source]] = {}
    labels: set[str] = set()
    for part in described["partitions"]:
        name = part["name"]
        for split, rows in part["rows"].items():
            if rows:
                path = folder / name / f"{split}.jsonl.gz"
                splits.setdefault(split, []).append(Source(name, path))
        for split in ("train", "valid"):
            labels.update(part.get("labels", {}).get(split, {}))
    by = ByFolder(described["description"], described["by_content"])
    return Partitions(by, splits, sorted(labels))
