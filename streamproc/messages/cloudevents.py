"""CloudEvents 1.0 over Kafka: structured and binary content mode, in and out.

Source: CloudEvents 1.0.2, its JSON format, and its Kafka protocol binding 1.0.2.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final, Literal

from streamproc.errors import Invalid, Unreadable
from streamproc.frozen import frozen
from streamproc.messages.json_spans import member_span
from streamproc.messages.record import Headers, Record
from streamproc.messages.strict_json import decode_object, refuse_depth

MAX_ID_CHARACTERS: Final = 256
CONTENT_TYPE: Final = "content-type"
BINARY_PREFIX: Final = "ce_"
STRUCTURED: Final = "application/cloudevents+json"
_JSON_TYPE: Final = (CONTENT_TYPE, b"application/json")
_REQUIRED: Final = ("specversion", "id", "source", "type")
_DATA: Final = ("data", "data_base64")
# Attributes that describe the request or its data, and so do not apply to the response.
_OF_THE_REQUEST: Final = frozenset((*_REQUIRED, *_DATA, "time", "datacontenttype", "dataschema"))
_TITLE: Final = "not a CloudEvent"


class Form(Enum):
    """How a request was wrapped; its response takes the same form."""

    PLAIN = "plain"
    STRUCTURED = "structured"
    BINARY = "binary"


@frozen()
class Envelope:
    """What a request was wrapped in: its form, and the attributes of its event, not checked.

    attributes: values of a structured event are JSON, those of a binary one are strings
    """

    form: Form
    attributes: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, record: Record) -> Envelope:
        """The form of a record by its headers alone, without attributes."""
        if _media_type(record) == STRUCTURED:
            return cls(Form.STRUCTURED)
        binary = record.header(BINARY_PREFIX + "specversion") is not None
        return cls(Form.BINARY if binary else Form.PLAIN)

    @classmethod
    def open(cls, record: Record) -> Opened:
        """A record taken apart; never raises for what a record holds."""
        opened = Opened(cls.of(record))
        if opened.envelope.form is Form.BINARY:
            opened.set_envelope(cls(Form.BINARY, _header_attributes(record.headers)))
        try:
            text = record.value or b""
            opened.fields = decode_object(record.value)
            structured = opened.envelope.form is Form.STRUCTURED
            if structured or (opened.envelope.form is Form.PLAIN and _is_event(opened.fields)):
                event, opened.fields = opened.fields, {}
                attributes = {name: value for name, value in event.items() if name not in _DATA}
                opened.set_envelope(cls(Form.STRUCTURED, attributes))
                opened.fields, metadata = _data(event, text)
                refuse_depth(attributes)
            else:
                metadata = _metadata(opened.fields, text)
            refuse_depth(opened.fields)
            opened.metadata = metadata
        except Invalid as reason:
            opened.fault = opened.fault or _unsupported_format(record) or reason
        return opened

    @property
    def event_id(self) -> str | None:
        """The event's id, where it has one that a response can carry."""
        found = self.attributes.get("id")
        return found if isinstance(found, str) and 0 < len(found) <= MAX_ID_CHARACTERS else None

    @property
    def size_bytes(self) -> int:
        """About what the attributes take."""
        return sum(len(name) + len(str(value)) for name, value in self.attributes.items())

    def wrap(
        self,
        response: dict[str, Any],
        *,
        task: str,
        event_id: str,
        time_ms: int,
        kind: Literal["response", "part"] = "response",
    ) -> tuple[dict[str, Any], Headers]:
        """A response, or a part of one, in this form: the object to encode, and headers to add.

        time_ms: when it was made, in milliseconds since the epoch
        """
        if self.form is Form.PLAIN:
            return response, (_JSON_TYPE,)
        attributes = {
            "specversion": "1.0",
            "id": event_id,
            "source": f"/streamproc/{task}",
            "type": f"streamproc.{task}.{kind}.v1",
            "time": _rfc_3339(time_ms),
            **self._handed_on(),
        }
        if self.form is Form.BINARY:
            headers = ((BINARY_PREFIX + name, str(v).encode()) for name, v in attributes.items())
            return response, (_JSON_TYPE, *headers)
        event = {**attributes, "datacontenttype": "application/json", "data": response}
        return event, ((CONTENT_TYPE, STRUCTURED.encode()),)

    def _handed_on(self) -> dict[str, object]:
        """The request's subject and extensions, and which event the request was.

        With names and values that the standard does not allow the response would be no CloudEvent.
        """
        kept = {
            name: value
            for name, value in self.attributes.items()
            if name not in _OF_THE_REQUEST and re.fullmatch("[a-z0-9]+", name) and _is_typed(value)
        }
        for name in ("id", "source", "type"):
            if isinstance(value := self.attributes.get(name), str):
                kept[f"request{name}"] = value
        return kept


@dataclass(slots=True)
class Opened:
    """What a record holds, as far as it could be read.

    fields:   of the JSON object that the record or its event holds; empty where there is none
    metadata: the JSON text of the field of that name; None where there is none
    fault:    why it holds no valid request; the rest is what could be read all the same
    """

    envelope: Envelope
    fields: dict[str, Any] = field(default_factory=dict)
    metadata: bytes | None = None
    fault: Invalid | None = None

    def set_envelope(self, envelope: Envelope) -> None:
        """Take the event's attributes, and what is wrong with them."""
        self.envelope, self.fault = envelope, _fault_of(envelope.attributes)


def _rfc_3339(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")


def _is_typed(value: object) -> bool:
    """A Boolean, a String, or an Integer of 32 bits; null counts as absent."""
    return isinstance(value, str) or (isinstance(value, int) and -(2**31) <= value < 2**31)


def _media_type(record: Record) -> str:
    content_type = record.header(CONTENT_TYPE)
    if not content_type:
        return ""
    return content_type.decode("ascii", "replace").lower().split(";")[0].strip()


def _unsupported_format(record: Record) -> Invalid | None:
    """The fault of a record whose content type is an event format that is not supported."""
    media_type = _media_type(record)
    if media_type == STRUCTURED or not media_type.startswith("application/cloudevents"):
        return None
    return Unreadable(
        _TITLE, f"content-type {media_type[:60]!r}; this takes {STRUCTURED}, one event a record"
    )


def _is_event(fields: Mapping[str, object]) -> bool:
    """A structured event that was sent without its content type."""
    return "specversion" in fields and any(name in fields for name in _DATA)


def _header_attributes(headers: Headers) -> dict[str, str]:
    return {
        name.removeprefix(BINARY_PREFIX): value.decode("utf-8", "replace")
        for name, value in headers
        if name.startswith(BINARY_PREFIX) and value is not None
    }


def _fault_of(attributes: Mapping[str, object]) -> Invalid | None:
    for name in _REQUIRED:
        value = attributes.get(name)
        if not isinstance(value, str) or not value:
            return Invalid(_TITLE, f"attribute {name!r} is missing or not a non-empty string")
    if len(str(attributes["id"])) > MAX_ID_CHARACTERS:
        return Invalid(_TITLE, f"attribute 'id' has more than {MAX_ID_CHARACTERS} characters")
    if attributes["specversion"] != "1.0":
        version = str(attributes["specversion"])[:20]
        return Invalid(_TITLE, f"specversion {version!r}; this takes 1.0")
    return None


def _data(event: Mapping[str, Any], text: bytes) -> tuple[dict[str, Any], bytes | None]:
    """The fields in a structured event's data, and the JSON text of the metadata among them."""
    if "data_base64" in event:
        try:
            decoded = base64.b64decode(event["data_base64"], validate=True)
        except (TypeError, ValueError):
            raise Invalid(_TITLE, "data_base64 is not base64") from None
        fields = decode_object(decoded)
        return fields, _metadata(fields, decoded)
    data = event.get("data")
    if not isinstance(data, dict):
        raise Invalid(_TITLE, "data is not a JSON object")
    return data, _metadata(data, text, "data")


def _metadata(fields: Mapping[str, object], text: bytes, *within: str) -> bytes | None:
    """The bytes of the field `metadata`; within: the members that lead to `fields` in the text."""
    span = member_span(text, *within, "metadata") if "metadata" in fields else None
    return None if span is None else text[span]
