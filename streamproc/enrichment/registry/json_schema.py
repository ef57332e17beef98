"""A JSON Schema of events, and the one of the same events with answers in them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from streamproc.enrichment.json_event import CannotPlace, Found, JsonEvent
from streamproc.enrichment.json_pointer import EVERY, Path, format_pointer
from streamproc.enrichment.registry.answer_types import AnswerType, ListOf, MapOf, RecordOf
from streamproc.enrichment.registry.wire_format import FramedValue, SchemaName
from streamproc.errors import Invalid, Unreadable
from streamproc.messages.record import Headers

# What says of an object's members more than `properties` does.
_APART: Final = ("$ref", "$dynamicRef", "$recursiveRef", "allOf", "anyOf", "oneOf", "if", "not")
_OF_ALL_NAMES: Final = ("patternProperties", "propertyNames", "maxProperties")
_MAX_TEXT_DEPTH: Final = 200


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
        place = _place(schema, path)
        if place is not None:
            values[place] = json.dumps(_json_schema(one)).encode()
    try:
        return event.with_values(values).decode()
    except CannotPlace as error:
        raise Invalid("wrong schema", error.detail) from None


def _place(schema: Any, path: Path) -> Path | None:
    """Where the schema describes a place of the event; None where it leaves all open there."""
    at: Path = ()
    for number, token in enumerate(path):
        if schema is True or schema == {}:
            return None
        _refuse_more(schema, path)
        if token == EVERY:
            at, schema = (*at, "items"), schema.get("items", True)
            continue
        at = (*at, "properties", token)
        properties = schema.get("properties", {})
        if token not in properties and number < len(path) - 1:
            # A new object for the answer alone: what is not said of it is open.
            return (*at, *(step for name in path[number + 1 :] for step in ("properties", name)))
        schema = properties.get(token, True)
    return at


def _refuse_more(schema: Any, path: Path) -> None:
    told = [
        name for name in (*_APART, *_OF_ALL_NAMES) if isinstance(schema, dict) and name in schema
    ]
    if told or not isinstance(schema, dict):
        raise Invalid(
            "no place for the answer",
            f"the schema says by {', '.join(told) or 'false'} what may be at "
            f"{format_pointer(path)}; only what properties and items say can be added to",
        )


def _json_schema(one: AnswerType) -> dict[str, Any]:
    """Of a type, or null. Objects are closed: then a registry lets them grow later."""
    if isinstance(one, ListOf):
        return {"type": ["array", "null"], "items": _json_schema(one.items)}
    if isinstance(one, MapOf):
        return {"type": ["object", "null"], "additionalProperties": _json_schema(one.values)}
    if isinstance(one, RecordOf):
        properties = {name: _json_schema(inner) for name, inner in one.fields.items()}
        return {
            "type": ["object", "null"],
            "properties": properties,
            "additionalProperties": False,
        }
    return {"type": [one, "null"]}


@dataclass(frozen=True, slots=True)
class JsonEventSchema:
    """What events of one JSON Schema become. name: what the registry knows the other schema by."""

    name: SchemaName

    def event(self, framed: FramedValue) -> RegistryJsonEvent:
        """The event in a value; raises Unreadable."""
        return RegistryJsonEvent(framed, JsonEvent(framed.body), self.name)


class RegistryJsonEvent:
    """A JSON text whose schema the record says."""

    def __init__(self, framed: FramedValue, event: JsonEvent, name: SchemaName) -> None:
        self._framed = framed
        self._event = event
        self._name = name

    def find(self, path: Path) -> Iterator[Found]:
        """See `Event`."""
        return self._event.find(path)

    def json_at(self, path: Path) -> bytes | None:
        """See `Event`."""
        return self._event.json_at(path)

    def with_values(self, values: Mapping[Path, bytes]) -> bytes:
        """See `Event`."""
        return self._framed.value(self._name, self._event.with_values(values))

    def headers(self, headers: Headers) -> Headers:
        """See `Event`."""
        return self._framed.headers(headers, self._name)

    def again(self, value: bytes) -> RegistryJsonEvent:
        """See `Event`."""
        return RegistryJsonEvent(self._framed, JsonEvent(self._framed.body_of(value)), self._name)
