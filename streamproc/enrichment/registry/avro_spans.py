"""What lies where among the bytes of a record, by the rules of Avro and no others.

fastavro's reader in C takes more: an index of -1 for the last branch or symbol, numbers of more
than 64 bits, and a block of -2**63 elements for one of none. What stands behind such bytes would
be found elsewhere by another reader, so that a text could go on that was never asked about.
Source: Apache Avro 1.12.0, "Binary Encoding".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from streamproc.enrichment.json_pointer import Path
from streamproc.errors import Unreadable

Span = tuple[int, int]

_SIZES: Final = {"null": 0, "boolean": 1, "float": 4, "double": 8}
_MAX_SHIFT: Final = 63
"""Of the last byte of a number: ten of seven bits hold 64, and of the tenth only the lowest."""
_THOUSAND: Final = 1000
# Long arrays of numbers are gone over by the thousand, in a tenth of the time.
_THOUSAND_NUMBERS: Final = re.compile(
    rb"(?>[\x80-\xff]{0,8}+[\x00-\x7f]|[\x80-\xff]{9}[\x00\x01]){%d}" % _THOUSAND
)


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

    None where it, or a record on the way, is null. Raises Unreadable where the bytes up to there
    are not of the schema.
    """
    try:
        return _Walk(body, named).find(schema, path)
    except IndexError:
        raise _other_bytes() from None


def refuse_other_bytes(body: bytes, schema: Any, named: Mapping[str, Any]) -> None:
    """Raises Unreadable where the body is anything else than one value of the schema."""
    walk = _Walk(body, named)
    try:
        walk.skip(schema)
    except IndexError:
        raise _other_bytes() from None
    if walk.at != len(body):
        raise _other_bytes()


def _other_bytes() -> Unreadable:
    return Unreadable("not Avro", "the bytes are none of the event's schema")


class _Walk:
    """A walk over the bytes of a value; `at` is where it is.

    Raises Unreadable, and IndexError where the bytes end within a value.
    """

    def __init__(self, body: bytes, named: Mapping[str, Any]) -> None:
        self._body = body
        self._named = named
        self.at = 0

    def find(self, schema: Any, path: Path) -> Span | None:
        """The span of the string at a path within the value that begins here."""
        if isinstance(schema, list):
            schema = self._one_of(schema)
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
            self.skip(self._one_of(schema))
            return
        kind, described = _kind(schema, self._named)
        if kind in ("string", "bytes"):
            self._skip_string()
        elif kind in ("int", "long"):
            self._long()
        elif kind == "enum":
            self._one_of(described["symbols"])
        elif kind in ("record", "error"):
            for field in described["fields"]:
                self.skip(field["type"])
        elif kind == "array":
            self._skip_array(described["items"])
        elif kind == "map":
            self._skip_blocks(self._skip_string, partial(self.skip, described["values"]))
        else:
            self._go(_size(kind, described))

    def _skip_array(self, items: Any) -> None:
        kind, described = ("union", {}) if isinstance(items, list) else _kind(items, self._named)
        if kind in ("int", "long"):
            while count := self._count():
                self._skip_numbers(count)
        elif kind == "fixed" or kind in _SIZES:
            size = _size(kind, described)
            while count := self._count():
                self._go(count * size)
        else:
            self._skip_blocks(partial(self.skip, items))

    def _skip_blocks(self, *each: Callable[[], object]) -> None:
        while count := self._count():
            for _ in range(count):
                for skip in each:
                    skip()

    def _skip_numbers(self, count: int) -> None:
        for _ in range(count // _THOUSAND):
            found = _THOUSAND_NUMBERS.match(self._body, self.at)
            if found is None:
                raise _other_bytes()
            self.at = found.end()
        for _ in range(count % _THOUSAND):
            self._long()

    def _skip_string(self) -> None:
        self._go(self._long())

    def _count(self) -> int:
        """How many elements the block that begins here has; none where there is no more."""
        count = self._long()
        if count < 0:
            # How many bytes the block has: fastavro does not go by that either.
            self._long()
        return abs(count)

    def _one_of(self, choices: Sequence[Any]) -> Any:
        index = self._long()
        if index < 0:
            raise _other_bytes()
        return choices[index]

    def _go(self, size: int) -> None:
        if not 0 <= size <= len(self._body) - self.at:
            raise _other_bytes()
        self.at += size

    def _long(self) -> int:
        byte = self._body[self.at]
        self.at += 1
        if byte < 0x80:
            return (byte >> 1) ^ -(byte & 1)
        value, shift = byte & 0x7F, 0
        while byte > 0x7F:
            byte = self._body[self.at]
            self.at += 1
            shift += 7
            if shift == _MAX_SHIFT and byte > 1:
                raise _other_bytes()
            value |= (byte & 0x7F) << shift
        return (value >> 1) ^ -(value & 1)


def encoded_string(text: str) -> bytes:
    """A string with its length in front."""
    data = text.encode()
    length, prefix = len(data) << 1, bytearray()
    while length > 0x7F:
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes((*prefix, length)) + data


def _kind(schema: Any, named: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    if isinstance(schema, str):
        if schema not in named:
            return schema, {}
        schema = named[schema]
    if isinstance(schema["type"], dict):
        return _kind(schema["type"], named)
    return schema["type"], schema


def _size(kind: str, described: Mapping[str, Any]) -> int:
    """How many bytes every value has of a type whose values have equally many."""
    return int(described["size"]) if kind == "fixed" else _SIZES[kind]
