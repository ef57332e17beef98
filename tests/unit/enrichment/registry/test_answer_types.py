"""Types of answers beside what topics/schemas/ says, and what a route may ask of schemas."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamproc.enrichment.catalogue import RESULT_FIELDS
from streamproc.enrichment.registry.answer_types import (
    RESULT_TYPES,
    AnswerType,
    ListOf,
    MapOf,
    RecordOf,
    fits,
)
from streamproc.enrichment.registry.placement import check_schemas
from streamproc.enrichment.route import Route
from streamproc.errors import Invalid
from streamproc.settings import read_settings
from tests.support.registries import MemoryRegistry
from tests.support.route_scenes import LINES, MOOD, RegistryScene

SCALARS = ("string", "number", "integer", "boolean")


def route(*answers: dict[str, Any], format_: str = "avro", **fields: Any) -> Route:
    """Of these answers."""
    return RegistryScene(MemoryRegistry(), *answers, format_=format_, **fields).route


@pytest.mark.parametrize("task", RESULT_FIELDS)
def test_results_have_the_types_that_their_schema_says(task: str) -> None:
    file = read_settings().topics_dir / "schemas" / f"{task}.response.v1.json"
    whole = json.loads(file.read_text("utf-8"))

    described = _type(whole["$defs"]["result"], whole["$defs"])
    assert described == RecordOf(RESULT_TYPES[task])


def _type(schema: dict[str, Any], defs: dict[str, Any]) -> AnswerType:
    """The type that a JSON Schema of ours describes; of several objects all their fields."""
    if "$ref" in schema:
        return _type(defs[schema["$ref"].removeprefix("#/$defs/")], defs)
    if "anyOf" in schema:
        fields: dict[str, AnswerType] = {}
        for one in schema["anyOf"]:
            found = _type(one, defs)
            assert isinstance(found, RecordOf)
            fields |= found.fields
        return RecordOf(fields)
    if schema.get("type") == "array":
        return ListOf(_type(schema["items"], defs))
    scalar: AnswerType = "string" if "enum" in schema else schema["type"]
    return _of_object(schema, defs) if scalar not in SCALARS else scalar


def _of_object(schema: dict[str, Any], defs: dict[str, Any]) -> AnswerType:
    if "properties" in schema:
        return RecordOf({name: _type(one, defs) for name, one in schema["properties"].items()})
    return MapOf(_type(schema["additionalProperties"], defs))


@pytest.mark.parametrize(
    ("value", "one", "expected"),
    [
        (None, "string", True),
        ("x", "string", True),
        (1, "string", False),
        (1, "number", True),
        (1.5, "integer", False),
        (True, "integer", False),
        (True, "boolean", True),
        (1, "boolean", False),
        ([1, None], ListOf("integer"), True),
        (["x"], ListOf("integer"), False),
        ({"a": "x"}, MapOf("string"), True),
        ({"a": 1}, MapOf("string"), False),
        ({"label": "x"}, RecordOf({"label": "string", "score": "number"}), True),
        ({"other": "x"}, RecordOf({"label": "string"}), False),
        ("x", RecordOf({"label": "string"}), False),
    ],
)
def test_a_value_fits_a_type_or_not(value: Any, one: AnswerType, expected: bool) -> None:
    assert fits(value, one) is expected


@pytest.mark.parametrize("format_", ["avro", "json-schema"])
def test_a_default_of_another_type_is_refused(format_: str) -> None:
    wrong = {**MOOD, "on_error": "default", "default": {"label": 3}}

    with pytest.raises(Invalid, match="answers: mood: default: it is not of the type"):
        check_schemas(route(wrong, format_=format_))


def test_a_default_of_the_answers_type_is_taken() -> None:
    check_schemas(route({**MOOD, "on_error": "default", "default": {"label": "NEUTRAL"}}))


@pytest.mark.parametrize(
    ("answer", "fields", "why"),
    [
        (LINES, {}, "behind their last field, and not beside each text"),
        ({**MOOD, "to": "/n-l-p/mood"}, {}, "'n-l-p' is no name of a field in Avro"),
        (MOOD, {"skip_if_done": True}, "Avro events take each answer once"),
    ],
)
def test_what_avro_can_not_hold_is_refused_and_json_holds(
    answer: dict[str, Any], fields: dict[str, Any], why: str
) -> None:
    check_schemas(route(answer, format_="json-schema", **fields))
    with pytest.raises(Invalid, match=why):
        check_schemas(route(answer, **fields))


def test_an_answer_beside_a_text_at_the_top_is_a_field_of_its_own() -> None:
    check_schemas(route({**MOOD, "to": "mood"}))
