"""The columns of a source beside the columns of the answers, each of one type."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

from streamproc.offline.documents.row import as_json, json_row

_MAX_COLUMNS = 1_000
_EXACT_IN_A_DOUBLE = 2**53
_INT64 = 2**63

ColumnType = Literal["null", "bool", "int", "long", "double", "date", "time", "instant", "text"]
"""int is exact in a double too, long is not; an instant is a time with its zone; text is strings,
and JSON of what has no other type"""
_PLAIN_TYPES: Mapping[type, ColumnType] = {
    type(None): "null",
    bool: "bool",
    float: "double",
    date: "date",
}


@dataclass(slots=True)
class KeptColumns:
    """Names of a source's columns, in the order in which they came, and the type of each.

    Rows of JSON may all have other names: of more than a thousand there is one column, of JSON.
    """

    types: dict[str, ColumnType] = field(default_factory=dict)
    too_many: bool = False

    def note(self, columns: Mapping[str, object]) -> None:
        """Take what a row has into account; its `id` is a column anyway."""
        if self.too_many:
            return
        for name, value in columns.items():
            if name == "id":
                continue
            self.types[name] = _common(self.types.get(name, "null"), _type_of(value))
        if len(self.types) > _MAX_COLUMNS:
            self.too_many = True
            self.types.clear()

    def names(self, taken: Collection[str]) -> dict[str, str]:
        """What each column is called: as in the source, unless an answer has such a column."""
        called: dict[str, str] = {}
        for name in self.types:
            free = name
            while free in taken or free in called.values() or (free != name and free in self.types):
                free = f"source_{free}"
            called[name] = free
        return called


def column_values(columns: bytes) -> Mapping[str, Any]:
    """The values of a row's columns, integers of any size."""
    return json_row(columns, 0, 0).values


def as_type(value: Any, kind: ColumnType) -> Any:
    """A value of a column, which JSON has kept, as a column of that type has it."""
    if value is None or kind == "null":
        return None
    if kind == "double":
        return float(value)
    if kind in {"time", "instant"}:
        return datetime.fromisoformat(value)
    if kind == "date":
        return date.fromisoformat(value)
    if kind == "text" and not isinstance(value, str):
        return as_json(value).decode()
    return value


def _type_of(value: Any) -> ColumnType:
    if isinstance(value, datetime):
        return "time" if value.tzinfo is None else "instant"
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) <= _EXACT_IN_A_DOUBLE:
            return "int"
        return "long" if -_INT64 <= value < _INT64 else "text"
    return _PLAIN_TYPES.get(type(value), "text")


def _common(one: ColumnType, other: ColumnType) -> ColumnType:
    """The type that takes the values of both as they are."""
    both = {one, other} - {"null"}
    if len(both) < 2:
        return both.pop() if both else "null"
    if both == {"int", "long"}:
        return "long"
    return "double" if both == {"int", "double"} else "text"
