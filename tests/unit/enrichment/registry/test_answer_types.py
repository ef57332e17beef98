"""Types of answers beside examples of them, and what a route may ask of schemas."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import fastavro
import orjson
import pytest

from streamproc.enrichment.registry.answer_types import fits
from streamproc.enrichment.registry.avro_schema import AvroMembers
from streamproc.enrichment.registry.avro_types import optional_field
from streamproc.enrichment.registry.placement import check_schemas
from streamproc.enrichment.route import Route
from streamproc.errors import Invalid
from streamproc.messages.response_types import AnswerType, ListOf, MapOf, RecordOf, fields_of
from streamproc.settings import shipped
from tests.support.registries import MemoryRegistry
from tests.support.route_scenes import LINES, MOOD, RegistryScene

ANSWERED = [
    file
    for file in sorted((shipped("topics") / "examples").glob("*.response.*.json"))
    if not file.name.endswith(".error.json")
]


def route(*answers: dict[str, Any], format_: str = "avro", **fields: Any) -> Route:
    """Of these answers."""
    return RegistryScene(MemoryRegistry(), *answers, format_=format_, **fields).route


@pytest.mark.parametrize("file", ANSWERED, ids=lambda f: f.name)
def test_the_result_of_every_example_fits_its_type_and_avro_holds_it(file: Path) -> None:
    response = orjson.loads(file.read_bytes())
    result, type_ = response["result"], RecordOf(fields_of(response["task"], "result"))

    assert result
    assert fits(result, type_)
    written = io.BytesIO(AvroMembers(RecordOf({"mood": type_})).encode({"mood": result}))
    read = fastavro.schemaless_reader(written, optional_field("mood", type_)["type"], None)
    assert without_nulls(read) == result


def without_nulls(value: Any) -> Any:
    """A value of Avro as JSON has it."""
    if isinstance(value, list):
        return [without_nulls(one) for one in value]
    if isinstance(value, dict):
        return {name: without_nulls(one) for name, one in value.items() if one is not None}
    return value


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
