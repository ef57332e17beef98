"""An event in Avro: texts are read from its record, and answers are bytes behind its own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from streamproc.enrichment.json_event import Found
from streamproc.enrichment.json_pointer import EVERY, INDEX, Path
from streamproc.enrichment.registry.avro_json import as_json
from streamproc.enrichment.registry.avro_schema import AvroMembers, AvroSchema
from streamproc.enrichment.registry.wire_format import FramedValue, SchemaName
from streamproc.messages.record import Headers


@dataclass(frozen=True, slots=True)
class AvroEventSchema:
    """What the events of one schema are, and what they become.

    name:   what the registry knows the longer schema by
    masked: texts that are replaced where they are
    """

    schema: AvroSchema
    members: AvroMembers
    longer: AvroSchema
    name: SchemaName
    masked: frozenset[Path] = frozenset()

    def event(self, framed: FramedValue) -> AvroEvent:
        """The event in a value; raises Unreadable."""
        return AvroEvent(self, framed, self.schema.decode(framed.body))


class AvroEvent:
    """The record of an event, and the bytes that it came as."""

    def __init__(self, kind: AvroEventSchema, framed: FramedValue, record: dict[str, Any]) -> None:
        self._kind = kind
        self._framed = framed
        self._record = record

    def find(self, path: Path) -> Iterator[Found]:
        """See `Event`."""
        found = [Found((), self._record)]
        for token in path:
            found = [step for one in found for step in _steps(one, token)]
        yield from found

    def repeated_on(self, path: Path) -> Path | None:
        """See `Event`: a text is masked within records alone, which have each field once."""
        return None

    def json_at(self, path: Path) -> bytes | None:
        """See `Event`; bytes of the event become characters of the same numbers."""
        for found in self.find(path):
            return json.dumps(found.value, default=as_json, separators=(",", ":")).encode()
        return None

    def with_values(self, values: Mapping[Path, bytes]) -> bytes:
        """See `Event`; every place is an answer's field, or a text that is masked."""
        members: dict[str, Any] = {}
        body = self._framed.body
        for path, value in values.items():
            if path in self._kind.masked:
                body = self._kind.schema.with_string(body, path, orjson.loads(value))
                continue
            at = members
            for name in path[:-1]:
                at = at.setdefault(name, {})
            at[path[-1]] = orjson.loads(value)
        body += self._kind.members.encode(members)
        return self._framed.value(self._kind.name, body)

    def headers(self, headers: Headers) -> Headers:
        """See `Event`."""
        return self._framed.headers(headers, self._kind.name)

    def again(self, value: bytes) -> AvroEvent:
        """See `Event`."""
        body = self._framed.body_of(value)
        framed = replace(self._framed, body=body)
        return AvroEvent(self._kind, framed, self._kind.longer.decode(body))


def _steps(found: Found, token: str) -> Iterator[Found]:
    value = found.value
    if isinstance(value, dict):
        if token in value:
            yield Found((*found.path, token), value[token])
    elif isinstance(value, list):
        if token == EVERY:
            yield from (Found((*found.path, str(at)), one) for at, one in enumerate(value))
        elif INDEX.fullmatch(token) and int(token) < len(value):
            yield Found((*found.path, token), value[int(token)])
