"""Cutting a corpus into the parts that members are trained on: by a field, or by hash."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Protocol

from streamproc.errors import TrainingError

_NAME = re.compile(r"[^a-z0-9]+")
_LONGEST_NAME = 64


class CorpusRecord(Protocol):
    """A record of a corpus, whatever its task.

    text:   what equal records have in common: they always share a part
    fields: what else is known about it, as text
    """

    @property
    def text(self) -> str: ...
    @property
    def fields(self) -> Mapping[str, str]: ...


class Partitioning(Protocol):
    """Tells for a record which part of the corpus it belongs to."""

    @property
    def description(self) -> str:
        """In words, for a manifest's provenance."""
        ...

    @property
    def by_content(self) -> bool:
        """Whether parts differ in what they are about, and so need validation data each."""
        ...

    def part_of(self, record: CorpusRecord) -> str:
        """The part's name: lower-case letters, digits, hyphens; fit for a folder's name."""
        ...


@dataclass(frozen=True, slots=True)
class ByField:
    """One part for each value of a field."""

    field: str
    by_content: bool = True
    _values: dict[str, str] = dataclass_field(default_factory=dict, compare=False, repr=False)

    @property
    def description(self) -> str:
        return f"by field {self.field!r}"

    def part_of(self, record: CorpusRecord) -> str:
        value = record.fields.get(self.field)
        name = _NAME.sub("-", (value or "").lower()).strip("-")
        if not name or len(name) > _LONGEST_NAME:
            raise TrainingError(
                f"A record can't be partitioned by {self.field!r}: its value is {value!r}, and a "
                f"part is called by 1 to {_LONGEST_NAME} letters and digits. "
                f"Its fields are {', '.join(record.fields) or 'none'}."
            )
        # Small letters and capitals are not told apart by any name of a part.
        found = " ".join((value or "").split()).lower()
        other = self._values.setdefault(name, found)
        if other != found:
            raise TrainingError(
                f"Records can't be partitioned by {self.field!r}: {other!r} and {found!r} would "
                f"both be the part {name!r}, of whose values letters and digits alone count. "
                "Rename one of them."
            )
        return name


@dataclass(frozen=True, slots=True)
class ByHash:
    """A number of parts of about equal size; equal texts always share a part.

    seed: another one gives other parts
    """

    parts: int
    by_content: bool = False
    seed: int = 0

    @property
    def description(self) -> str:
        seeded = f" and seed {self.seed}" if self.seed else ""
        return f"by SHA-256 of the text{seeded}, {self.parts} parts"

    def part_of(self, record: CorpusRecord) -> str:
        # Seed 0 adds nothing: parts are what they were before there were seeds.
        salt = f"{self.seed}\0".encode() if self.seed else b""
        digest = hashlib.sha256(salt + record.text.encode("utf-8", "surrogatepass")).digest()
        number = int.from_bytes(digest[:8], "big") % self.parts
        return f"part-{number + 1}-of-{self.parts}"


def partitioning_from(written: str, seed: int = 0) -> Partitioning:
    """The partitioning that a user wrote: `FIELD`, or `hash:N`.

    Raises TrainingError when N is not a positive number, or clusters are asked for.
    """
    kind, colon, _ = written.partition(":")
    if not colon:
        return ByField(written)
    if kind == "cluster":
        raise TrainingError(
            f"{written!r}: cut the corpus with `streamproc corpus partition --by {written}`, then "
            "train with --partitions FOLDER."
        )
    if kind != "hash":
        raise TrainingError(f"{written!r}: expected a field's name, hash:N, or cluster:N.")
    return ByHash(_count(written), seed=seed)


def clusters_from(written: str) -> int | None:
    """N of `cluster:N`, None of anything else; raises TrainingError when N is not positive."""
    return _count(written) if written.startswith("cluster:") else None


def _count(written: str) -> int:
    kind, _, count = written.partition(":")
    if not count.isdecimal() or int(count) < 1:
        raise TrainingError(f"{written!r}: expected {kind}:N with N at least 1.")
    return int(count)
