"""The columns of a source beside the columns of the answers, each of one type."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

import orjson

from streamproc.offline.bulk.request_fields import RowId
from streamproc.offline.documents.row import json_row, values_with_any_number

_MAX_COLUMNS = 1_000
_EXACT_IN_A_DOUBLE = 2**53
_INT64 = 2**63

ColumnType = Literal["null", "bool", "int", "long", "double", "date", "time", "instant", "text"]
"""int is exact in a double too, long is not; an instant is a time with its zone; text is strings,
and what has no other type as it is written in JSON"""
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}:,]')
_OPENING, _CLOSING = ("[", "{"), ("]", "}")
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
    _with_id: bool = False

    def note(self, columns: Mapping[str, object], row_id: RowId | None = None) -> None:
        """Take what a row has into account.

        row_id: of its answer; a column `id` that says the same in all rows is left out
        """
        if self.too_many:
            return
        for name, value in columns.items():
            self.types[name] = _common(self.types.get(name, "null"), _type_of(value))
        self._with_id = self._with_id or not _is_said(columns.get("id"), row_id)
        if len(self.types) > _MAX_COLUMNS:
            self.too_many = True
            self.types.clear()

    def values(self, columns: bytes) -> dict[str, Any]:
        """The values of a row's columns, a JSON object, as columns of their types have them."""
        row = json_row(columns, 0, 0)
        found = values_with_any_number(columns) if row.fault else row.values
        values = {name: _as_type(one, self.types[name]) for name, one in found.items()}
        written = [
            name
            for name, kind in self.types.items()
            if kind == "text" and not isinstance(values.get(name), str | None)
        ]
        if written:
            members = _members(columns)
            values |= {name: members[name] for name in written}
        return values

    def names(self, taken: Collection[str]) -> dict[str, str]:
        """What each column is called: as in the source, unless an answer has such a column."""
        called: dict[str, str] = {}
        for name in self.types:
            if name == "id" and not self._with_id:
                continue
            free = name
            while free in taken or free in called.values() or (free != name and free in self.types):
                free = f"source_{free}"
            called[name] = free
        return called


def _members(columns: bytes) -> dict[str, str]:
    """The values of an object as they are written; brackets are counted, however deep they nest."""
    text = columns.decode()
    members: dict[str, str] = {}
    name: str | None = None
    start = depth = 0
    for token in _TOKEN.finditer(text):
        sign = token[0]
        depth += (sign in _OPENING) - (sign in _CLOSING)
        if name is not None and (depth == 0 or (depth == 1 and sign == ",")):
            members[name] = text[start : token.start()].strip()
            name = None
        elif depth == 1 and sign == ":":
            start = token.end()
        elif depth == 1 and name is None and sign[0] == '"':
            name = orjson.loads(sign)
    return members


def _as_type(value: Any, kind: ColumnType) -> Any:
    """A value which JSON has kept, as a column of that type has it."""
    if value is None or kind == "null":
        return None
    if kind == "double":
        return float(value)
    if kind in {"time", "instant"}:
        return datetime.fromisoformat(value)
    if kind == "date":
        return date.fromisoformat(value)
    return value


def _is_said(own: object, row_id: RowId | None) -> bool:
    """Whether a row's column `id` has nothing that the id of its answer doesn't say."""
    # An integer may be written 1.0, as by pandas where a column has gaps.
    return own is None or own in ("", row_id) or str(own) == str(row_id)


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
