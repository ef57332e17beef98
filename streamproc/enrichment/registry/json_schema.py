"""A JSON Schema of events, and the one of the same events with answers in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from streamproc.enrichment.json_event import CannotPlace, JsonEvent
from streamproc.enrichment.json_pointer import EVERY, Path, format_pointer, parse_pointer
from streamproc.enrichment.registry.answer_types import as_record
from streamproc.errors import Invalid, Unreadable
from streamproc.messages.response_types import AnswerType, ListOf, MapOf, RecordOf

# What may say of an object's members more than `properties` does, and what closes it.
_COMBINING: Final = (
    "$dynamicRef", "$recursiveRef", "allOf", "anyOf", "oneOf", "not", "then", "else",
    "dependentSchemas", "dependencies",
)  # fmt: skip
_CLOSING: Final = ("patternProperties", "propertyNames", "maxProperties")
_CLOSING_WITHIN: Final = (*_CLOSING, "$ref", "additionalProperties", "unevaluatedProperties", "not")
_VALUES: Final = ("default", "const", "enum", "examples")


def with_answers(text: str, placed: Mapping[Path, AnswerType]) -> str:
    """The schema with an optional property for each place; all else stays as it is written.

    Raises Invalid where the schema says more of a place than `properties` and `items` do.
    """
    try:
        schema = json.loads(text)
        event = JsonEvent(text.encode())
    except (ValueError, RecursionError, Unreadable):
        raise Invalid("wrong schema", "it is not JSON") from None
    if schema is True or schema == {}:
        return text
    values: dict[Path, bytes] = {}
    for path, one in placed.items():
        at, length = _place(schema, path)
        if at is not None:
            new = one if length == len(path) else _together(placed, path[:length])
            values[at] = json.dumps(_json_schema(new)).encode()
    try:
        return event.with_values(values).decode()
    except CannotPlace as error:
        raise Invalid("wrong schema", error.detail) from None


def _place(root: Any, path: Path) -> tuple[Path | None, int]:
    """Where the schema is to describe a place of the event, or the start of it, which is so long.

    None where it need not.
    """
    at: Path = ()
    schema = root
    for number, token in enumerate(path):
        at, schema = _followed(root, at, schema)
        if schema is True or schema == {}:
            return None, number
        _refuse_more(schema, path)
        if token == EVERY:
            at, schema = (*at, "items"), schema.get("items", True)
            continue
        at = (*at, "properties", token)
        properties = schema.get("properties", {})
        if token not in properties:
            is_open = EVERY in path[number:]
            return None if is_open else at, number + 1
        schema = properties[token]
    return at, len(path)


def _together(placed: Mapping[Path, AnswerType], start: Path) -> RecordOf:
    """What is put into an object that is there for answers alone."""
    size = len(start)
    return as_record({path[size:]: one for path, one in placed.items() if path[:size] == start})


def _followed(root: Any, at: Path, schema: Any) -> tuple[Path, Any]:
    """Where a schema that is said elsewhere in the same text lies."""
    seen: set[str] = set()
    while isinstance(schema, dict) and str(schema.get("$ref", "")).startswith("#/"):
        pointer = schema["$ref"][1:]
        at, schema = parse_pointer(unquote(pointer)), root
        for token in at:
            schema = schema.get(token) if isinstance(schema, dict) else None
        if pointer in seen:
            break
        seen.add(pointer)
    return at, schema


def _refuse_more(schema: Any, path: Path) -> None:
    """Raises Invalid where a member that `properties` allows might not be allowed all the same."""
    told = ["false"]
    if isinstance(schema, dict):
        told = [name for name in (*_CLOSING, "$ref") if name in schema]
        told += [name for name in _COMBINING if name in schema and _closes(schema[name])]
    if told:
        raise Invalid(
            "no place for the answer",
            f"the schema says by {', '.join(told)} what may be at {format_pointer(path)}; a "
            "property can be added where properties and items alone say that",
        )


def _closes(schema: Any) -> bool:
    if isinstance(schema, list):
        return any(map(_closes, schema))
    if isinstance(schema, dict):
        return any(
            (name in _CLOSING_WITHIN and said not in (True, {}))
            or (name not in _VALUES and _closes(said))
            for name, said in schema.items()
        )
    return schema is False


def _json_schema(one: AnswerType) -> dict[str, Any]:
    """Of a type, or null. Objects are closed: then a registry lets them grow later."""
    if isinstance(one, ListOf):
        return {"type": ["array", "null"], "items": _json_schema(one.items)}
    if isinstance(one, MapOf):
        return {"type": ["object", "null"], "additionalProperties": _json_schema(one.values)}
    if isinstance(one, RecordOf):
        properties = {name: _json_schema(inner) for name, inner in one.fields.items()}
        return {
            # A registry compares what is of one type member by member, and no other.
            "type": "object" if one.is_there else ["object", "null"],
            "properties": properties,
            "additionalProperties": False,
        }
    return {"type": [one, "null"]}
