"""JSON with a schema through a route: bytes stay, and the schema gets an optional property."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from streamproc.enrichment.json_pointer import parse_pointer
from streamproc.enrichment.registry.json_schema import with_answers
from streamproc.errors import Invalid
from streamproc.messages.response_types import AnswerType, ListOf, MapOf, RecordOf
from tests.support.avro_events import framed
from tests.support.registries import MemoryRegistry
from tests.support.route_scenes import LINES, MOOD, PEOPLE, RegistryScene

CLOSED = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "body": {"type": "string"},
        "lines": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"text": {"type": "string"}},
                "additionalProperties": False,
            },
        },
    },
    "required": ["id"],
    "additionalProperties": False,
}
EVENT = b'{ "id":12345678901234567890, "body":"good Ada","lines":[{"text":"a"}] }'


def longer(schema: Any, **placed: AnswerType) -> Any:
    """The schema with answers at pointers whose `/` is written `_`."""
    places = {parse_pointer(name.replace("_", "/")): one for name, one in placed.items()}
    return json.loads(with_answers(json.dumps(schema), places))


async def test_an_event_with_answers_is_valid_by_the_schema_that_it_says() -> None:
    registry = MemoryRegistry()
    name = registry.add("in-value", CLOSED, "JSON")
    scene = RegistryScene(registry, MOOD, PEOPLE, LINES, format_="json-schema")

    published = await scene.through(framed(name.id, EVENT))

    value = published.value or b""
    assert value[5:].startswith(b'{ "id":12345678901234567890, "body":"good Ada","lines":[{"text"')
    schema = json.loads(registry.by_id(int.from_bytes(value[1:5], "big")).text)
    event = json.loads(value[5:])
    jsonschema.validate(event, schema)
    assert event["lines"] == [{"text": "a", "de": "A"}]
    assert event["nlp"]["mood"]["label"] == "GOOD"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(event, CLOSED)


async def test_a_header_says_the_schema_of_an_event_whose_bytes_are_json_alone() -> None:
    registry = MemoryRegistry()
    name = registry.add("in-value", CLOSED, "JSON")
    scene = RegistryScene(registry, MOOD, format_="json-schema")

    published = await scene.through(EVENT, (("__value_schema_id", framed(name.id, b"")),))

    assert json.loads(published.value or b"")["nlp"]["mood"]["label"] == "GOOD"
    assert dict(published.headers)["__value_schema_id"] == framed(2, b"")


async def test_what_is_not_json_is_a_dead_letter() -> None:
    registry = MemoryRegistry()
    name = registry.add("in-value", CLOSED, "JSON")
    scene = RegistryScene(registry, MOOD, format_="json-schema")

    letter = await scene.through(framed(name.id, b"{NaN}"))

    assert (letter.topic, letter.value) == ("dead", framed(name.id, b"{NaN}"))


async def test_a_key_is_found_in_an_event_with_a_schema() -> None:
    registry = MemoryRegistry()
    name = registry.add("in-value", CLOSED, "JSON")
    to = {"topic": "out", "key": "/nlp/mood/label"}
    scene = RegistryScene(registry, MOOD, format_="json-schema", to=to)

    assert (await scene.through(framed(name.id, EVENT))).key == b"GOOD"


def test_a_schema_stays_as_it_is_written_but_for_the_property() -> None:
    text = '{ "type" :"object",\n "properties":{"a" : {"const": 1.10} } , "x":"\\u00e9" }'
    after = with_answers(text, {("nlp",): "string"})

    assert after == text.replace("1.10}", '1.10},"nlp":{"type": ["string", "null"]}')


def test_objects_of_answers_are_closed_so_that_they_can_grow() -> None:
    schema = longer(
        {"type": "object"}, _nlp=RecordOf({"a": ListOf("integer"), "b": MapOf("number")})
    )

    nlp = schema["properties"]["nlp"]
    assert nlp["additionalProperties"] is False
    assert nlp["properties"]["a"] == {
        "type": ["array", "null"], "items": {"type": ["integer", "null"]},
    }  # fmt: skip
    assert nlp["properties"]["b"]["additionalProperties"] == {"type": ["number", "null"]}


def test_an_object_for_answers_alone_holds_all_of_them_and_is_closed() -> None:
    schema = longer({"type": "object"}, _nlp_mood="string", _nlp_run_ok=ListOf("string"))

    nlp = schema["properties"]["nlp"]
    assert set(nlp["properties"]) == {"mood", "run"}
    assert nlp["additionalProperties"] is False
    assert nlp["properties"]["run"]["additionalProperties"] is False


async def test_a_masked_text_in_its_own_place_keeps_what_its_schema_says() -> None:
    registry = MemoryRegistry()
    name = registry.add("in-value", CLOSED, "JSON")
    redact = {"labels": ["PER"], "from": "/body", "to": "/body"}
    scene = RegistryScene(
        registry, {**PEOPLE, "on_error": "dlq", "redact": redact}, format_="json-schema"
    )

    published = await scene.through(framed(name.id, EVENT))

    assert b'"body":"good <PER>"' in (published.value or b"")
    output = json.loads(registry.under("out-value")[0].text)
    assert output["properties"]["body"] == CLOSED["properties"]["body"]  # type: ignore[index]

    twice = framed(name.id, b'{"id":1,"body":"Ada","body":"Ada"}')
    letter = await scene.through(twice)
    assert (letter.topic, letter.value) == ("dead", twice)


def test_a_definition_that_a_schema_refers_to_gets_the_property() -> None:
    line = {"type": "object", "properties": {"text": {}}}
    order = {"properties": {"lines": {"items": {"$ref": "#/$defs/a~1line"}}}}
    schema = {"$ref": "#/$defs/order", "$defs": {"order": order, "a/line": line}}

    places: dict[tuple[str, ...], AnswerType] = {("lines", "*", "de"): "string", ("nlp",): "number"}
    after = json.loads(with_answers(json.dumps(schema), places))

    assert after["$defs"]["a/line"]["properties"]["de"] == {"type": ["string", "null"]}
    assert after["$defs"]["order"]["properties"]["nlp"] == {"type": ["number", "null"]}
    assert after["$ref"] == "#/$defs/order"


def test_a_definition_that_refers_to_itself_is_no_endless_search() -> None:
    with pytest.raises(Invalid):
        longer({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, _nlp="string")


def test_what_a_schema_combines_without_closing_leaves_place() -> None:
    paid = {"properties": {"paid": {"default": False}}, "additionalProperties": True}
    schema = {"type": "object", "allOf": [{"required": ["id"]}, paid]}

    assert longer(schema, _nlp="string")["properties"] == {"nlp": {"type": ["string", "null"]}}


@pytest.mark.parametrize("schema", [True, {}])
def test_a_schema_that_says_nothing_says_nothing_after(schema: Any) -> None:
    assert longer(schema, _nlp="string") == schema


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"allOf": [{"additionalProperties": False}]}, "allOf"),
        ({"$ref": "https://example.com/order.json"}, r"\$ref"),
        ({"anyOf": [{"properties": {"x": {"$ref": "#"}}}]}, "anyOf"),
        ({"if": {}, "then": {"not": {"required": ["nlp"]}}}, "then"),
        ({"properties": {"nlp": {"oneOf": [False]}}}, "oneOf"),
        ({"patternProperties": {"^n": False}}, "patternProperties"),
        ({"maxProperties": 3}, "maxProperties"),
        (False, "false"),
        ({"properties": {"nlp": False}}, "false"),
    ],
)
def test_a_schema_that_says_more_of_a_place_is_refused(schema: Any, why: str) -> None:
    with pytest.raises(Invalid, match=f"the schema says by {why} what may be at /nlp/mood"):
        longer(schema, _nlp_mood="string")


@pytest.mark.parametrize("text", ["", "{", "[1]", '"x"', "3"])
def test_what_is_no_schema_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        with_answers(text, {("nlp",): "string"})
