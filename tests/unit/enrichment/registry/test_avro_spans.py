"""Strings found among bytes that other encoders than fastavro write."""

from __future__ import annotations

import json

from streamproc.enrichment.registry.avro_schema import AvroSchema

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
