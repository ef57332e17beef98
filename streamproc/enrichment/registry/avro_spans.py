"""Where a string lies among the bytes of a record, so that another can take its place.

The record was read before: its bytes are those of the schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streamproc.enrichment.json_pointer import Path

Span = tuple[int, int]

_SIZES: Final = {"null": 0, "boolean": 1, "float": 4, "double": 8}


def leads_to_string(schema: Any, named: Mapping[str, Any], path: Path) -> bool:
    """Whether a path leads through records, which may be null, to a string, which may be null."""
    if isinstance(schema, list):
        branches = [branch for branch in schema if branch != "null"]
        return len(branches) == 1 and leads_to_string(branches[0], named, path)
    kind, described = _kind(schema, named)
    if not path:
        return bool(kind == "string")
    fields = {field["name"]: field["type"] for field in described.get("fields", ())}
    return path[0] in fields and leads_to_string(fields[path[0]], named, path[1:])


def string_span(body: bytes, schema: Any, named: Mapping[str, Any], path: Path) -> Span | None:
    """First byte of the string at a path, its length included, and the one behind its last.

    None where it, or a record on the way, is null.
    """
    return _Walk(body, named).find(schema, path)


class _Walk:
    """A walk over the bytes of a value; `at` is where it is."""

    def __init__(self, body: bytes, named: Mapping[str, Any]) -> None:
        self._body = body
        self._named = named
        self.at = 0

    def find(self, schema: Any, path: Path) -> Span | None:
        """The span of the string at a path within the value that begins here."""
        if isinstance(schema, list):
            schema = schema[self._long()]
        kind, described = _kind(schema, self._named)
        if kind == "null":
            return None
        if not path:
            start = self.at
            self.skip(schema)
            return start, self.at
        for field in described["fields"]:
            if field["name"] == path[0]:
                return self.find(field["type"], path[1:])
            self.skip(field["type"])
        raise KeyError(path[0])

    def skip(self, schema: Any) -> None:
        """Go behind the value that begins here."""
        if isinstance(schema, list):
            self.skip(schema[self._long()])
            return
        kind, described = _kind(schema, self._named)
        if kind in ("int", "long", "enum"):
            self._long()
        elif kind in ("string", "bytes"):
            length = self._long()
            self.at += length
        elif kind in ("record", "error"):
            for field in described["fields"]:
                self.skip(field["type"])
        elif kind == "array":
            self._skip_blocks((described["items"],))
        elif kind == "map":
            self._skip_blocks(("string", described["values"]))
        else:
            self.at += described["size"] if kind == "fixed" else _SIZES[kind]

    def _skip_blocks(self, types: tuple[Any, ...]) -> None:
        while count := self._long():
            if count < 0:
                # How many bytes the block has: fastavro does not go by that either.
                self._long()
            for _ in range(abs(count)):
                for one in types:
                    self.skip(one)

    def _long(self) -> int:
        shift = value = 0
        while True:
            byte = self._body[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return (value >> 1) ^ -(value & 1)
            shift += 7


def encoded_string(text: str) -> bytes:
    """A string with its length in front."""
    data = text.encode()
    length, prefix = len(data) << 1, bytearray()
    while length > 0x7F:
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes((*prefix, length)) + data


def _kind(schema: Any, named: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    described = named.get(schema, {"type": schema}) if isinstance(schema, str) else schema
    if isinstance(described["type"], dict):
        return _kind(described["type"], named)
    return described["type"], described
