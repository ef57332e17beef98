"""CloudEvents 1.0 over Kafka: structured and binary content mode, in and out.

Source: CloudEvents 1.0.2, its JSON format, and its Kafka protocol binding 1.0.2.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from streamproc.errors import Invalid
from streamproc.messages.json_spans import member_span
from streamproc.messages.record import Headers, Record
from streamproc.messages.strict_json import Unreadable, decode_object, refuse_depth

MAX_ID_CHARACTERS = 256
CONTENT_TYPE = "content-type"
STRUCTURED = "application/cloudevents+json"
BINARY_PREFIX = "ce_"
_REQUIRED = ("specversion", "id", "source", "type")
_DATA = ("data", "data_base64")
# What describes the request or its data, and so says nothing of the response.
_OF_THE_REQUEST = frozenset((*_REQUIRED, *_DATA, "time", "datacontenttype", "dataschema"))
_TITLE = "not a CloudEvent"


class Form(Enum):
    """How a request was wrapped; its response takes the same form."""

    PLAIN = "plain"
    STRUCTURED = "structured"
    BINARY = "binary"


@dataclass(frozen=True, slots=True)
class Envelope:
    """What was around a request: its form, and what the event said of itself, not checked.

    attributes: of a structured event as JSON has them, of a binary one texts
    """

    form: Form
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def event_id(self) -> str | None:
        """The event's id, where it has one that a response can carry."""
        found = self.attributes.get("id")
        told = isinstance(found, str) and 0 < len(found) <= MAX_ID_CHARACTERS
        return found if told else None

    @property
    def size_bytes(self) -> int:
        """About what the attributes take."""
        return sum(len(name) + len(str(value)) for name, value in self.attributes.items())


_NO_ENVELOPE: Final = Envelope(Form.PLAIN)


@dataclass(frozen=True, slots=True)
class Opened:
    """A record taken apart.

    fields:   of the JSON object that the record or its event holds; empty where there is none
    metadata: the JSON text of the field of that name; None where there is none
    fault:    why it holds no request, whatever else could be told of it
    """

    envelope: Envelope
    fields: dict[str, Any] = field(default_factory=dict)
    metadata: bytes | None = None
    fault: Invalid | None = None


def form_of(record: Record) -> Form:
    """The form of a record, told by its headers alone."""
    if _media_type(record) == STRUCTURED:
        return Form.STRUCTURED
    if record.header(BINARY_PREFIX + "specversion") is not None:
        return Form.BINARY
    return Form.PLAIN


def open_record(record: Record) -> Opened:
    """The envelope of a record and the object in it; never raises for what a record holds."""
    form, fields = form_of(record), dict[str, Any]()
    envelope = _NO_ENVELOPE if form is Form.PLAIN else Envelope(form)
    fault = None
    if form is Form.BINARY:
        envelope = Envelope(form, _attributes_in(record.headers))
        fault = _fault_of(envelope.attributes)
    try:
        fields, metadata = decode_object(record.value), None
        if form is Form.STRUCTURED or (form is Form.PLAIN and _is_event(fields)):
            attributes = {name: value for name, value in fields.items() if name not in _DATA}
            envelope, event, fields = Envelope(Form.STRUCTURED, attributes), fields, {}
            fault = _fault_of(attributes)
            fields, metadata = _content_of_event(record.value or b"", event)
            refuse_depth(attributes)
        elif "metadata" in fields:
            metadata = _metadata(record.value or b"")
        refuse_depth(fields)
    except Invalid as reason:
        return Opened(envelope, fields, fault=fault or _of_another_format(record) or reason)
    return Opened(envelope, fields, metadata, fault)


def wrap(
    envelope: Envelope, response: dict[str, Any], *, task: str, event_id: str, time: str
) -> tuple[dict[str, Any], Headers]:
    """A response in the form of its request: the object to encode, and headers to add.

    time: RFC 3339
    """
    if envelope.form is Form.PLAIN:
        return response, ((CONTENT_TYPE, b"application/json"),)
    attributes = {
        "specversion": "1.0",
        "id": event_id,
        "source": f"/streamproc/{task}",
        "type": f"streamproc.{task}.response.v1",
        "time": time,
        **_kept(envelope.attributes),
    }
    if envelope.form is Form.BINARY:
        headers = tuple((BINARY_PREFIX + name, said.encode()) for name, said in attributes.items())
        return response, ((CONTENT_TYPE, b"application/json"), *headers)
    event = {**attributes, "datacontenttype": "application/json", "data": response}
    return event, ((CONTENT_TYPE, STRUCTURED.encode()),)


def _kept(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What a response hands on of its request's event: subject and extensions, and whose it was.

    Names and values that the standard does not know would make the response no CloudEvent.
    """
    kept = {
        name: value
        for name, value in attributes.items()
        if name not in _OF_THE_REQUEST and re.fullmatch("[a-z0-9]+", name) and _is_typed(value)
    }
    for name in ("id", "source", "type"):
        if isinstance(attributes.get(name), str):
            kept[f"request{name}"] = attributes[name]
    return kept


def _is_typed(value: object) -> bool:
    """A Boolean, a String, or an Integer of 32 bits; null is as good as not there."""
    if isinstance(value, int):
        return -(2**31) <= value < 2**31
    return isinstance(value, str)


def _media_type(record: Record) -> str:
    content_type = (record.header(CONTENT_TYPE) or b"").decode("ascii", "replace").lower()
    return content_type.split(";")[0].strip()


def _of_another_format(record: Record) -> Invalid | None:
    """Why an event, or a batch of them, in a format that this does not read is no request."""
    media_type = _media_type(record)
    if media_type == STRUCTURED or not media_type.startswith("application/cloudevents"):
        return None
    return Unreadable(
        _TITLE, f"content-type {media_type[:60]!r}; this takes {STRUCTURED}, one event a record"
    )


def _is_event(decoded: Mapping[str, Any]) -> bool:
    """A structured event whose content-type was forgotten."""
    return "specversion" in decoded and any(name in decoded for name in _DATA)


def _attributes_in(headers: Headers) -> dict[str, str]:
    return {
        name.removeprefix(BINARY_PREFIX): value.decode("utf-8", "replace")
        for name, value in headers
        if name.startswith(BINARY_PREFIX) and value is not None
    }


def _fault_of(attributes: Mapping[str, Any]) -> Invalid | None:
    for name in _REQUIRED:
        value = attributes.get(name)
        if not isinstance(value, str) or not value:
            return Invalid(
                _TITLE, f"attribute {name!r} is missing or not a string that says something"
            )
    if len(attributes["id"]) > MAX_ID_CHARACTERS:
        return Invalid(_TITLE, f"attribute 'id' has more than {MAX_ID_CHARACTERS} characters")
    if attributes["specversion"] != "1.0":
        return Invalid(_TITLE, f"specversion {attributes['specversion'][:20]!r}; this takes 1.0")
    return None


def _content_of_event(text: bytes, event: dict[str, Any]) -> tuple[dict[str, Any], bytes | None]:
    """An event's data, and the text of the metadata in it."""
    if "data_base64" in event:
        decoded = _from_base64(event["data_base64"])
        return decode_object(decoded), _metadata(decoded)
    data = event.get("data")
    if not isinstance(data, dict):
        raise Invalid(_TITLE, "data is not a JSON object")
    return data, _metadata(text, "data")


def _from_base64(data: Any) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise Invalid(_TITLE, "data_base64 is not base64") from None


def _metadata(text: bytes, *within: str) -> bytes | None:
    span = member_span(text, *within, "metadata")
    return None if span is None else text[span]
