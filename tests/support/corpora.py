"""Corpora as files, and what comes out when they are cut."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from streamproc.offline.corpus.partition_plan import PartitionPlan
from streamproc.offline.corpus.partitioning import CorpusRecord, Partitioning
from streamproc.offline.corpus.rows import Source

ItemT = TypeVar("ItemT", bound=CorpusRecord)


def source(path: Path, rows: Iterable[Mapping[str, Any]], name: str = "mine") -> Source:
    """A JSON Lines file of rows."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return Source(name, path)


def plan(folder: Path, by: str, **splits: Sequence[Mapping[str, Any]]) -> PartitionPlan:
    """A plan to cut rows, by split; they and what is made of them go into a folder."""
    sources = {name: [source(folder / f"{name}.jsonl", rows)] for name, rows in splits.items()}
    return PartitionPlan(sources, by, folder / "out")


def parts_of(records: Iterable[ItemT], by: Partitioning) -> Mapping[str, tuple[ItemT, ...]]:
    """The records by part, parts in the order of their names, records in the corpus's order."""
    parts: dict[str, list[ItemT]] = {}
    for record in records:
        parts.setdefault(by.part_of(record), []).append(record)
    return {name: tuple(parts[name]) for name in sorted(parts)}


def lines(out: Path) -> dict[tuple[str, str], list[str]]:
    """The rows as they were written, by partition and split."""
    return {
        (path.parent.name, path.name.removesuffix(".jsonl.gz")): gzip.decompress(path.read_bytes())
        .decode("utf-8")
        .split("\n")[:-1]
        for path in sorted(out.glob("*/*.jsonl.gz"))
    }


def contents(out: Path) -> dict[str, bytes]:
    """Every byte that was written, by file."""
    files = (path for path in out.rglob("*") if path.is_file())
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


class FirstWords:
    """Features that tell texts apart by their first word alone."""

    description = "first words"

    def of(self, texts: Sequence[str]) -> NDArray[np.floating]:
        return np.stack([self._point((text.split() or [""])[0]) for text in texts])

    @staticmethod
    def _point(word: str) -> NDArray[np.floating]:
        digest = hashlib.sha256(word.encode("utf-8", "surrogatepass")).digest()
        point = np.frombuffer(digest[:8], dtype=np.uint8) / 255 - 0.5
        return np.asarray(point / np.linalg.norm(point))
