"""What the way of an event asks of its format: places to read, and to put values in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol, Self

from streamproc.enrichment.json_event import Found, JsonEvent
from streamproc.enrichment.json_pointer import Path
from streamproc.errors import Unreadable
from streamproc.messages.cloudevents import Envelope, Form
from streamproc.messages.record import Headers, Record


class Event(Protocol):
    """An event that was read, and is addressed by pointers."""

    def find(self, path: Path) -> Iterator[Found]:
        """What lies at a path, in the order of the event."""
        ...

    def repeated_on(self, path: Path) -> Path | None:
        """The first place on a path, its end included, whose name its object has more than once.

        Readers take one of these members, most of them the last; the others stay in the bytes.
        """
        ...

    def json_at(self, path: Path) -> bytes | None:
        """The JSON text of the value at a path without `*`; None where there is none."""
        ...

    def with_values(self, values: Mapping[Path, bytes]) -> bytes:
        """The record's value with these JSON texts put in, and all else as it was.

        Raises CannotPlace.
        """
        ...

    def headers(self, headers: Headers) -> Headers:
        """The record's headers, as they go with what `with_values` returns."""
        ...

    def again(self, value: bytes) -> Self:
        """What `with_values` returned, read."""
        ...


class EventFormat(Protocol):
    """How the events of a route are written."""

    async def open(self, record: Record) -> Event:
        """The event of a record that has a value; raises Invalid where it can't be read."""
        ...


class JsonFormat:
    """JSON, whatever it holds."""

    async def open(self, record: Record) -> JsonEvent:
        """See `EventFormat`."""
        return JsonEvent(record.value or b"")


class CloudEventsFormat:
    """CloudEvents, structured or binary; pointers begin at the data."""

    async def open(self, record: Record) -> JsonEvent:
        """See `EventFormat`."""
        envelope = Envelope.open(record).envelope
        if envelope.form is Form.PLAIN:
            raise Unreadable("not a CloudEvent", "it has neither ce_specversion nor specversion")
        event = JsonEvent(record.value or b"")
        if envelope.form is Form.BINARY:
            return event
        # Answers would stand in a second member, and an event has data in one of the two.
        if any(found.value is not None for found in event.find(("data_base64",))):
            raise Unreadable(
                "data in base64",
                "the event has data_base64; a route takes events whose data is JSON, in data",
            )
        return event.below(("data",))
