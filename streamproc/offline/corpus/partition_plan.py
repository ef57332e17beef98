"""All that decides how a corpus is cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from streamproc.offline.corpus.clusters import Features
from streamproc.offline.corpus.records import Columns
from streamproc.offline.corpus.rows import Source

Duplicates = Literal["refuse", "report", "drop"]


@dataclass(frozen=True, slots=True)
class PartitionPlan:
    """A corpus, how it is cut, and where its parts go.

    splits:       by name, in the order in which they keep a text that several have; "train" first
    by:           as a user writes it: a field's name, hash:N, or cluster:N
    out:          a folder that is not there yet
    duplicates:   what becomes of a text that an earlier split has too
    features:     what tells topics apart, for clusters
    sample_texts: how many texts of "train" centres are fitted on, at most
    """

    splits: Mapping[str, Sequence[Source]]
    by: str
    out: Path
    seed: int = 0
    columns: Columns = field(default_factory=Columns)
    duplicates: Duplicates = "refuse"
    features: Features | None = None
    sample_texts: int = 5_000
