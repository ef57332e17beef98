"""An event in JSON whose record says its schema: spliced as any JSON, and said to be of another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from streamproc.enrichment.json_event import Found, JsonEvent
from streamproc.enrichment.json_pointer import Path
from streamproc.enrichment.registry.wire_format import FramedValue, SchemaName
from streamproc.messages.record import Headers


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

    def repeated_on(self, path: Path) -> Path | None:
        """See `Event`."""
        return self._event.repeated_on(path)

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
