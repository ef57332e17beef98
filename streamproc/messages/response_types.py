"""The types of a response's fields, as its JSON Schema says.

Whoever writes answers as anything but JSON makes types of their own of these: Avro, Arrow, the
JSON Schema of somebody's events.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, Literal

import orjson

from streamproc.settings import shipped

Scalar = Literal["string", "number", "integer", "boolean"]


@dataclass(frozen=True, slots=True)
class ListOf:
    """Any number of one type."""

    items: AnswerType


@dataclass(frozen=True, slots=True)
class MapOf:
    """Values of one type, by names that are not known."""

    values: AnswerType


@dataclass(frozen=True, slots=True)
class RecordOf:
    """Fields by name; each may be missing or null.

    is_there: it is never null where it is given
    """

    fields: dict[str, AnswerType] = field(default_factory=dict)
    is_there: bool = False


AnswerType = Scalar | ListOf | MapOf | RecordOf
_Schema = Mapping[str, Any]
_NOT_TEXT: Final[tuple[Scalar, ...]] = ("number", "integer", "boolean")


def response_fields(task: str) -> dict[str, AnswerType]:
    """All fields that a response of a task may have; what may be any JSON is a string."""
    schema = _response_schema(task)
    return _fields(schema, schema["$defs"])


def fields_of(task: str, definition: str) -> dict[str, AnswerType]:
    """The fields of what the schema of a task's responses defines, such as its `result`."""
    definitions = _response_schema(task)["$defs"]
    return _fields(definitions[definition], definitions)


@cache
def _response_schema(task: str) -> dict[str, Any]:
    file = shipped("topics") / "schemas" / f"{task}.response.v1.json"
    schema: dict[str, Any] = orjson.loads(file.read_bytes())
    return schema


def _type(schema: _Schema, definitions: _Schema) -> AnswerType:
    schema = _resolved(schema, definitions)
    if "properties" in schema or "anyOf" in schema:
        return RecordOf(_fields(schema, definitions))
    kind = schema.get("type")
    if kind == "object":
        return MapOf(_type(schema["additionalProperties"], definitions))
    if kind == "array":
        return ListOf(_type(schema["items"], definitions))
    return next((one for one in _NOT_TEXT if one == kind), "string")


def _fields(schema: _Schema, definitions: _Schema) -> dict[str, AnswerType]:
    """Those of an object; of several kinds of object, all that any of them has."""
    schema = _resolved(schema, definitions)
    fields = {name: _type(one, definitions) for name, one in schema.get("properties", {}).items()}
    for one in schema.get("anyOf", ()):
        fields |= _fields(one, definitions)
    return fields


def _resolved(schema: _Schema, definitions: _Schema) -> _Schema:
    while "$ref" in schema:
        schema = definitions[schema["$ref"].removeprefix("#/$defs/")]
    return schema
