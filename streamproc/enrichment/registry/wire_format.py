"""How a record says which schema its value has: in front of the value, or in a header.

In front stands a magic byte, 0 and the schema's id in four bytes, big-endian, or 1 and its GUID in
sixteen. The header has the same bytes, and the value then has nothing in front.
Source: confluent-kafka 2.16, `schema_registry/common/serde.py`, `SchemaId`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from streamproc.errors import Unreadable
from streamproc.messages.record import Headers, Record

VALUE_SCHEMA_ID: Final = "__value_schema_id"
KEY_SCHEMA_ID: Final = "__key_schema_id"
_ID, _GUID = b"\x00", b"\x01"
_ID_BYTES, _GUID_BYTES = 5, 17

SchemaRef = int | UUID
"""What a schema is known by: its id in one registry, or its GUID."""


@dataclass(frozen=True, slots=True)
class SchemaName:
    """What a registry knows a schema by. guid: None where the registry gives none."""

    id: int
    guid: UUID | None = None


@dataclass(frozen=True, slots=True)
class FramedValue:
    """A record's value without what says its schema.

    in_header: whether a header says it
    """

    ref: SchemaRef
    body: bytes
    in_header: bool = False

    @classmethod
    def of(cls, record: Record) -> FramedValue:
        """Of a record that has a value; raises Unreadable where nothing says which schema it has.

        A header counts more than what the value begins with, as in Confluent's clients.
        """
        told = record.header(VALUE_SCHEMA_ID)
        if told is not None:
            ref = _ref(told)
            if ref is None or len(told) != _length(ref):
                raise Unreadable("no schema id", f"the header {VALUE_SCHEMA_ID} holds no id")
            return cls(ref, record.value or b"", in_header=True)
        return cls.of_value(record.value or b"")

    @classmethod
    def of_value(cls, value: bytes) -> FramedValue:
        """Of a value whose record has no such header; raises Unreadable as `of` does."""
        ref = _ref(value)
        if ref is None:
            raise Unreadable(
                "no schema id",
                "the value begins with neither 0 and an id of 4 bytes nor 1 and a GUID of 16, and "
                f"there is no header {VALUE_SCHEMA_ID}",
            )
        return cls(ref, value[_length(ref) :])

    def value(self, schema: SchemaName, body: bytes) -> bytes:
        """Another body, of another schema, in the same form."""
        return body if self.in_header else self._named(schema) + body

    def body_of(self, value: bytes) -> bytes:
        """What `value` was made of."""
        return value if self.in_header else self.of_value(value).body

    def headers(self, headers: Headers, schema: SchemaName) -> Headers:
        """The record's headers, saying the other schema where they say one."""
        if not self.in_header:
            return headers
        return tuple(
            (name, self._named(schema) if name == VALUE_SCHEMA_ID else value)
            for name, value in headers
        )

    def _named(self, schema: SchemaName) -> bytes:
        if isinstance(self.ref, UUID) and schema.guid is not None:
            return _GUID + schema.guid.bytes
        return _ID + schema.id.to_bytes(4, "big")


def _ref(data: bytes) -> SchemaRef | None:
    if data[:1] == _ID and len(data) >= _ID_BYTES:
        return int.from_bytes(data[1:_ID_BYTES], "big")
    if data[:1] == _GUID and len(data) >= _GUID_BYTES:
        return UUID(bytes=data[1:_GUID_BYTES])
    return None


def _length(ref: SchemaRef) -> int:
    return _GUID_BYTES if isinstance(ref, UUID) else _ID_BYTES
