"""Strings found among bytes that other encoders than fastavro write."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamproc.enrichment.registry.avro_schema import AvroSchema
from streamproc.errors import Unreadable

SCHEMA = AvroSchema(json.dumps({"type": "record", "name": "R", "fields": [
    {"name": "many", "type": {"type": "array", "items": "long"}},
    {"name": "by", "type": {"type": "map", "values": "boolean"}},
    {"name": "body", "type": "string"},
    {"name": "last", "type": "int"},
]}))  # fmt: skip
# Two blocks that say how many bytes they have, and one that does not, as Avro allows.
ARRAY = b"\x03\x04\x02\x04" + b"\x01\x02\x06" + b"\x02\x08" + b"\x00"
MAP = b"\x01\x06\x02k\x01" + b"\x00"


def test_blocks_of_any_form_are_gone_over() -> None:
    body = ARRAY + MAP + b"\x06Ada" + b"\x0a"

    assert SCHEMA.decode(body) == {
        "many": [1, 2, 3, 4], "by": {"k": True}, "body": "Ada", "last": 5,
    }  # fmt: skip
    assert SCHEMA.with_string(body, ("body",), "<PER>") == ARRAY + MAP + b"\x0a<PER>" + b"\x0a"


def test_what_a_block_says_of_its_size_is_not_gone_by() -> None:
    wrong = ARRAY.replace(b"\x03\x04", b"\x03\x7e") + MAP + b"\x06Ada" + b"\x0a"

    assert SCHEMA.decode(wrong)["body"] == "Ada"
    assert b"<PER>" in SCHEMA.with_string(wrong, ("body",), "<PER>")


def test_long_strings_have_long_lengths() -> None:
    body = b"\x00\x00\x06Ada\x0a"

    for size in (63, 64, 8191, 8192):
        changed = SCHEMA.with_string(body, ("body",), "x" * size)
        assert SCHEMA.decode(changed)["body"] == "x" * size


def of_one(kind: Any) -> AvroSchema:
    """A schema of a value and of a text behind it."""
    fields = [{"name": "x", "type": kind}, {"name": "body", "type": "string"}]
    return AvroSchema(json.dumps({"type": "record", "name": "One", "fields": fields}))


ENUM = {"type": "enum", "name": "E", "symbols": ["A", "B"]}
FIXED = {"type": "fixed", "name": "F", "size": 2}
LONGS = {"type": "array", "items": "long"}
LOWEST = b"\xff" * 9 + b"\x01"
"""-2**63, which has no absolute value in 64 bits."""
MANY = b"\xd0\x0f"
"""A thousand."""


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (["null", "string"], b"\x01\x02x"),
        (["null", "string"], LOWEST + b"\x02x"),
        (ENUM, b"\x01"),
        ({"type": "array", "items": ENUM}, b"\x02\x01\x00"),
        ({"type": "map", "values": ENUM}, b"\x02\x02k\x01\x00"),
        ("long", b"\x80" * 10 + b"\x00"),
        ("long", b"\x80" * 9 + b"\x02"),
        ("int", b"\x82" + b"\x80" * 12 + b"\x01"),
        ("string", b"\x82" + b"\x80" * 8 + b"\x02" + b"x"),
        ("bytes", b"\x82" + b"\x80" * 9 + b"\x00" + b"x"),
        (LONGS, LOWEST + b"\x08\x02\x02\x00"),
        (LONGS, b"\x02" + b"\x80" * 10 + b"\x00\x00"),
        (LONGS, MANY + b"\x02" * 999 + b"\x80" * 9 + b"\x02" + b"\x00"),
        (LONGS, MANY + b"\x02" * 999 + b"\x80" * 10 + b"\x00" + b"\x00"),
        ({"type": "array", "items": "double"}, LOWEST + b"\x08" + b"\x00"),
        ({"type": "array", "items": FIXED}, LOWEST + b"\x08" + b"\x00"),
        ({"type": "map", "values": "long"}, LOWEST + b"\x08" + b"\x00"),
    ],
)
def test_bytes_that_only_a_lenient_reader_takes_are_refused(kind: Any, value: bytes) -> None:
    schema = of_one(kind)
    with pytest.raises(Unreadable):
        schema.decode(value + b"\x06Ada")
    with pytest.raises(Unreadable):
        schema.with_string(value + b"\x06Ada", ("body",), "<PER>")


@pytest.mark.parametrize("end", range(4))
def test_a_text_is_not_replaced_among_bytes_that_end_too_early(end: int) -> None:
    with pytest.raises(Unreadable):
        of_one("long").with_string(b"\x02\x06Ada"[:end], ("body",), "<PER>")


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        ("long", LOWEST, -(2**63)),
        ("long", b"\xfe" + b"\xff" * 8 + b"\x01", 2**63 - 1),
        ("long", b"\x82\x80\x00", 1),
        (LONGS, MANY + b"\x02" * 998 + b"\x80\x01" + LOWEST + b"\x00", [1] * 998 + [64, -(2**63)]),
        (LONGS, MANY + b"\x02" * 1000 + b"\x02\x04\x00", [1] * 1000 + [2]),
        (
            {"type": "array", "items": "boolean"},
            b"\x03\x04\x01\x01\x02\x00\x00",
            [True, True, False],
        ),
        ({"type": "array", "items": FIXED}, b"\x04abcd\x00", [b"ab", b"cd"]),
        ({"type": "array", "items": ENUM}, b"\x04\x02\x00\x00", ["B", "A"]),
        ({"type": "array", "items": ["null", "int"]}, b"\x04\x00\x02\x02\x00", [None, 1]),
        ({"type": "map", "values": LONGS}, b"\x02\x02k\x02\x02\x00\x00", {"k": [1]}),
    ],
)
def test_whatever_avro_allows_is_read_and_gone_over(kind: Any, value: bytes, read: Any) -> None:
    schema = of_one(kind)

    assert schema.decode(value + b"\x06Ada") == {"x": read, "body": "Ada"}
    assert schema.with_string(value + b"\x06Ada", ("body",), "Bo") == value + b"\x04Bo"
