"""Samples of Avro events, written as JSON: what is wrong with one is said in words of JSON."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from streamproc.enrichment.registry.samples import SampleRegistry
from streamproc.enrichment.registry.schemas import Schema
from streamproc.errors import Invalid

SCHEMA = {
    "type": "record", "name": "Review", "namespace": "shop", "fields": [
        {"name": "text", "type": "string"},
        {"name": "stars", "type": "int", "default": 0},
        {"name": "good", "type": ["null", "boolean"], "default": None},
        {"name": "state", "type": {"type": "enum", "name": "State", "symbols": ["NEW", "OLD"]},
         "default": "NEW"},
        {"name": "tags", "type": {"type": "array", "items": "long"}, "default": []},
        {"name": "more", "type": {"type": "map", "values": "string"}, "default": {}},
        {"name": "hash", "type": "bytes", "default": "\u00ff"},
        {"name": "by", "type": ["null", {"type": "record", "name": "Author", "fields": [
            {"name": "age", "type": "int"}]}], "default": None},
    ],
}  # fmt: skip


def samples() -> SampleRegistry:
    return SampleRegistry(Schema(json.dumps(SCHEMA), "AVRO"))


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        ({}, "text: null or missing, not string"),
        ({"text": None}, "text: null or missing, not string"),
        ({"text": True}, "text: a boolean, not string"),
        ({"text": "x", "stars": "5"}, "stars: a string, not int"),
        ({"text": "x", "stars": 4.5}, "stars: a number, not int"),
        ({"text": "x", "stars": 3_000_000_000}, "stars: an integer out of range, not int"),
        ({"text": "x", "good": "yes"}, "good: a string, not null or boolean"),
        ({"text": "x", "state": "SOLD"}, "state: a string, not one of NEW, OLD"),
        ({"text": "x", "tags": {"a": 1}}, "tags: an object, not array"),
        ({"text": "x", "tags": [1, None]}, "tags: null or missing, not long"),
        ({"text": "x", "more": [1]}, "more: an array, not map"),
        ({"text": "x", "hash": "\u20ac"}, "bytes are written as characters up to \\u00ff"),
        ({"text": "x", "by": {"age": "old"}}, "by: an object, not null; age: a string, not int"),
        ([], "the event: an array, not record shop.Review"),
        (None, "the event: null or missing, not record shop.Review"),
    ],
)
def test_what_is_wrong_with_a_sample_is_said_in_words_of_json(sample: Any, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        samples().value(json.dumps(sample).encode())

    assert str(refused.value) == f"no event of the schema: {said}"
    assert not re.search(r"None|True|False|class|object has|codec", str(refused.value))


def test_a_sample_may_leave_out_what_has_a_default() -> None:
    registry = samples()
    shown = json.loads(registry.shown(registry.value(b'{"text": "x", "by": {"age": 7}}')))

    assert shown["hash"] == "\u00ff"
    assert (shown["stars"], shown["state"], shown["by"]) == (0, "NEW", {"age": 7})


def test_a_sample_that_is_nested_too_deeply_is_refused() -> None:
    schema = {"type": "record", "name": "Node", "fields": [
        {"name": "next", "type": ["null", "Node"], "default": None}]}  # fmt: skip
    registry = SampleRegistry(Schema(json.dumps(schema), "AVRO"))
    with pytest.raises(Invalid, match=r"recursion|nested too deeply"):
        registry.value(b'{"next":' * 5000 + b"null" + b"}" * 5000)
