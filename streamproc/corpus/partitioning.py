"""Cutting a corpus into the parts that members are trained on: by a field, or by hash."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from streamproc.errors import TrainingError

_NAME = re.compile(r"[^a-z0-9]+")


class Item(Protocol):
    """A record of a corpus, whatever its task.

    text:   what equal records have in common: they always share a part
    fields: what else is known about it, as text
    """

    @property
    def text(self) -> str: ...
    @property
    def fields(self) -> Mapping[str, str]: ...


ItemT = TypeVar("ItemT", bound=Item)


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

    def part_of(self, record: Item) -> str:
        """The part's name: lower-case letters, digits, hyphens; fit for a folder's name."""
        ...


@dataclass(frozen=True, slots=True)
class ByField:
    """One part for each value of a field."""

    field: str
    by_content: bool = True

    @property
    def description(self) -> str:
        return f"by field {self.field!r}"

    def part_of(self, record: Item) -> str:
        value = record.fields.get(self.field)
        name = _NAME.sub("-", (value or "").lower()).strip("-")
        if not name:
            raise TrainingError(
                f"A record can't be partitioned by {self.field!r}: its value is {value!r}. "
                f"Its fields are {', '.join(record.fields) or 'none'}."
            )
        return name


@dataclass(frozen=True, slots=True)
class ByHash:
    """A number of parts of about equal size; equal texts always share a part."""

    parts: int
    by_content: bool = False

    @property
    def description(self) -> str:
        return f"by SHA-256 of the text, {self.parts} parts"

    def part_of(self, record: Item) -> str:
        digest = hashlib.sha256(record.text.encode("utf-8", "surrogatepass")).digest()
        number = int.from_bytes(digest[:8], "big") % self.parts
        return f"part-{number + 1}-of-{self.parts}"


def partitioning_from(written: str) -> Partitioning:
    """The partitioning that a user wrote: `FIELD`, or `hash:N`.

    Raises TrainingError when N is not a positive number.
    """
    kind, colon, count = written.partition(":")
    if not colon:
        return ByField(written)
    if kind != "hash" or not count.isdecimal() or int(count) < 1:
        raise TrainingError(
            f"--partition-by {written!r}: expected a field's name, or hash:N with N at least 1."
        )
    return ByHash(int(count))


def partition(records: Iterable[ItemT], by: Partitioning) -> Mapping[str, tuple[ItemT, ...]]:
    """The records by part, parts in the order of their names, records in the corpus's order."""
    parts: dict[str, list[ItemT]] = {}
    for record in records:
        parts.setdefault(by.part_of(record), []).append(record)
    return {name: tuple(parts[name]) for name in sorted(parts)}
