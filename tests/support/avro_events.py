"""Events in Avro, written by fastavro alone."""

from __future__ import annotations

import io
from typing import Any, Final

import fastavro

ORDER: Final[dict[str, Any]] = {
    "type": "record",
    "name": "Order",
    "namespace": "shop",
    "doc": "An order of an invented shop",
    "fields": [
        {"name": "id", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "body", "type": ["null", "string"], "default": None},
        {"name": "price", "type": {
            "type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "state", "type": {
            "type": "enum", "name": "State", "symbols": ["NEW", "PAID"]}, "default": "NEW"},
        {"name": "digest", "type": {"type": "fixed", "name": "Digest", "size": 4}},
        {"name": "tags", "type": {"type": "map", "values": "long"}},
        {"name": "lines", "type": {"type": "array", "items": {
            "type": "record", "name": "Line", "fields": [
                {"name": "text", "type": "string"},
                {"name": "of", "type": ["null", "Line"], "default": None},
            ]}}},
    ],
}  # fmt: skip
"""Logical types, a union, an enum, a fixed, a map, and records in records of their own kind."""


def order(**values: Any) -> dict[str, Any]:
    """An order as fastavro takes it, with other values where they are given."""
    return {
        "id": "6f1c3d0e-5a53-4b7c-9a7e-2f6f4f0d1c2b",
        "body": "a good day",
        "price": b"\x04\xd2",
        "at": 1_700_000_000_123_456,
        "day": 19_675,
        "state": "PAID",
        "digest": b"\x00\x01\xfe\xff",
        "tags": {"a": 2**40},
        "lines": [{"text": "one", "of": {"text": "two", "of": None}}],
        **values,
    }


def encoded(schema: Any, value: Any) -> bytes:
    """The bytes of a value, without what says its schema."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), value)
    return out.getvalue()


def decoded(schema: Any, body: bytes) -> Any:
    """The value in bytes that hold nothing else."""
    source = io.BytesIO(body)
    value = fastavro.schemaless_reader(source, fastavro.parse_schema(schema), None)
    assert source.tell() == len(body)
    return value


def framed(id_: int, body: bytes) -> bytes:
    """A value that begins with the id of its schema."""
    return b"\x00" + id_.to_bytes(4, "big") + body
