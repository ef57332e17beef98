"""An Avro schema: how events of it are read, and how a longer record is made of one.

The answers become fields behind the last one, so that an event with answers is the bytes of the
event, and behind them those of the answers.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import fastavro

# Its reader in C ends the process where records lie in each other a few thousand deep.
from fastavro import _read_py as unhurried
from fastavro.schema import SchemaParseException, UnknownType

from streamproc.enrichment.json_event import JsonEvent
from streamproc.enrichment.json_pointer import Path, format_pointer
from streamproc.enrichment.registry.avro_json import fault_of, stored
from streamproc.enrichment.registry.avro_shape import AvroShape, without_logical_types
from streamproc.enrichment.registry.avro_spans import (
    encoded_string,
    leads_to_string,
    refuse_other_bytes,
    string_span,
)
from streamproc.enrichment.registry.avro_types import optional_field
from streamproc.errors import Invalid, Unreadable
from streamproc.messages.response_types import RecordOf

_NOT_A_SCHEMA = (
    SchemaParseException, UnknownType, ValueError, TypeError, KeyError, AttributeError,
    RecursionError,
)  # fmt: skip
_NOT_AVRO = (EOFError, IndexError, KeyError, ValueError, TypeError, OverflowError, struct.error)


class AvroSchema:
    """A schema whose events can be read."""

    def __init__(self, text: str, used: Sequence[str] = ()) -> None:
        """used: the texts of the schemas that it refers to, each before those that use it.

        Raises Invalid where its events can't be read.
        """
        named: dict[str, Any] = {}
        try:
            for one in used:
                fastavro.parse_schema(without_logical_types(json.loads(one)), named)
            parsed = fastavro.parse_schema(without_logical_types(json.loads(text)), named)
            shape = AvroShape(named)
            shape.visit(parsed, ())
        except json.JSONDecodeError as error:
            raise Invalid("wrong schema", f"it is not JSON: {error}") from None
        except _NOT_A_SCHEMA as error:
            raise Invalid("wrong schema", f"it can't be read as Avro: {error!r}"[:300]) from None
        if not isinstance(parsed, dict) or parsed.get("type") not in ("record", "error"):
            raise Invalid(
                "no record", "the schema is not one of a record, so nothing can be put in"
            )
        if shape.has_lists_of_nothing:
            raise Invalid(
                "arrays of nothing", "a few bytes could hold as many elements as one likes"
            )
        self.text = text
        self._used = tuple(used)
        self._parsed = parsed
        self._named = named
        self._is_recursive = shape.is_recursive
        self.fields = frozenset(str(one["name"]) for one in parsed["fields"])

    def decode(self, body: bytes) -> dict[str, Any]:
        """The record in a body: times, dates and decimals as Avro stores them.

        Bytes that are no UTF-8 in a string become surrogates. Raises Unreadable.
        """
        read = unhurried.schemaless_reader if self._is_recursive else fastavro.schemaless_reader
        source = io.BytesIO(body)
        try:
            value = read(source, self._parsed, None, handle_unicode_errors="surrogateescape")
            refuse_other_bytes(body[: source.tell()], self._parsed, self._named)
        except RecursionError:
            raise Unreadable("nested too deeply", "the event is nested too deeply") from None
        except _NOT_AVRO:
            raise Unreadable("not Avro", "the bytes are none of the event's schema") from None
        if source.tell() != len(body) or not isinstance(value, dict):
            raise Unreadable("not Avro", "there are bytes behind the record")
        return value

    def encode(self, value: Any) -> bytes:
        """The body of an event that is written as JSON; see `avro_json`. Raises Invalid."""
        out = io.BytesIO()
        try:
            record = stored(value, self._parsed, self._named)
        except UnicodeEncodeError:
            raise Invalid(
                "no event of the schema", "bytes are written as characters up to \\u00ff"
            ) from None
        try:
            fault = fault_of(record, self._parsed)
            if fault is None:
                fastavro.schemaless_writer(out, self._parsed, record)
        except RecursionError:
            fault = "it is nested too deeply"
        if fault is not None:
            raise Invalid("no event of the schema", fault[:300])
        return out.getvalue()

    def refuse_masks(self, paths: Iterable[Path]) -> None:
        """Raises Invalid where a text that is to be masked in its place is no string there."""
        for path in paths:
            if not leads_to_string(self._parsed, self._named, path):
                raise Invalid(
                    "no place for the masked text",
                    f"in the schema {format_pointer(path)} is not a string or null within records",
                )

    def with_string(self, body: bytes, path: Path, text: str) -> bytes:
        """The body with another text in the place of one; the same where there is null.

        Raises Unreadable where the bytes up to there are not of the schema.
        """
        span = string_span(body, self._parsed, self._named, path)
        if span is None:
            return body
        start, end = span
        return body[:start] + encoded_string(text) + body[end:]

    def with_members(self, members: RecordOf) -> AvroSchema:
        """This schema with optional fields behind its last; its own text stays as it is.

        Raises Invalid where the record has a field of that name, or the names of types clash.
        """
        for name in members.fields:
            if name in self.fields:
                raise Invalid(
                    "no place for the answer",
                    f"the schema has a field {name!r} already; Avro's answers go into a new one",
                )
        text = self.text.encode()
        for name, one in members.fields.items():
            field = json.dumps(optional_field(name, one)).encode()
            text = JsonEvent(text).with_values({("fields", "-"): field})
        return AvroSchema(text.decode(), self._used)


class AvroMembers:
    """The fields that answers become, written one after the other."""

    def __init__(self, members: RecordOf) -> None:
        self._types = {
            name: fastavro.parse_schema(optional_field(name, one)["type"])
            for name, one in members.fields.items()
        }

    def encode(self, values: Mapping[str, Any]) -> bytes:
        """The bytes of all of them; those that are not given are null."""
        out = io.BytesIO()
        for name, schema in self._types.items():
            fastavro.schemaless_writer(out, schema, values.get(name))
        return out.getvalue()
