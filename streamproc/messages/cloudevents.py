"""CloudEvents 1.0 over Kafka: structured and binary content mode, in and out.

Source: CloudEvents 1.0.2 and its Kafka protocol binding 1.0.2.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from enum import Enum
from typing import Any

from streamproc.errors import Invalid
from streamproc.messages.decoding import decode_object
from streamproc.messages.record import Headers, Record

MAX_ID_CHARACTERS = 256
CONTENT_TYPE = "content-type"
STRUCTURED = "application/cloudevents+json"
_REQUIRED = ("specversion", "id", "source", "type")
_TITLE = "not a CloudEvent"


class Form(Enum):
    """How a request was wrapped; its response takes the same form."""

    PLAIN = "plain"
    STRUCTURED = "structured"
    BINARY = "binary"


@dataclass(frozen=True, slots=True)
class Envelope:
    """What was around a request: its form, and the id the event itself carried."""

    form: Form
    event_id: str | None = None


def form_of(record: Record) -> Form:
    """The form of a record, told by its headers alone."""
    content_type = (record.header(CONTENT_TYPE) or b"").decode("ascii", "replace").lower()
    if content_type.split(";")[0].strip() == STRUCTURED:
        return Form.STRUCTURED
    if record.header("ce_specversion") is not None:
        return Form.BINARY
    return Form.PLAIN


def open_envelope(record: Record) -> tuple[Envelope, dict[str, Any]]:
    """The envelope of a record, and the attributes of its event, not checked yet.

    Raises Unreadable when a structured event is no JSON object.
    """
    form = form_of(record)
    attributes: dict[str, Any] = {}
    if form is Form.STRUCTURED:
        attributes = decode_object(record.value)
    elif form is Form.BINARY:
        attributes = {
            name[3:]: value.decode("utf-8", "replace")
            for name, value in record.headers
            if name.startswith("ce_")
        }
    event_id = attributes.get("id")
    told = isinstance(event_id, str) and 0 < len(event_id) <= MAX_ID_CHARACTERS
    return Envelope(form, event_id if told else None), attributes


def read_content(record: Record, form: Form, attributes: dict[str, Any]) -> dict[str, Any]:
    """The JSON object in a record whose envelope is open.

    Raises Unreadable when there is no JSON object, Invalid when the event lacks an attribute.
    """
    if form is not Form.PLAIN:
        _check(attributes)
    return _data(attributes) if form is Form.STRUCTURED else decode_object(record.value)


def wrap(
    form: Form, response: dict[str, Any], *, task: str, event_id: str, time: str
) -> tuple[dict[str, Any], Headers]:
    """A response in the form of its request: the object to encode, and headers to add.

    time: RFC 3339
    """
    if form is Form.PLAIN:
        return response, ((CONTENT_TYPE, b"application/json"),)
    attributes = {
        "specversion": "1.0",
        "id": event_id,
        "source": f"/streamproc/{task}",
        "type": f"streamproc.{task}.response.v1",
        "time": time,
    }
    if form is Form.BINARY:
        headers = tuple((f"ce_{name}", value.encode()) for name, value in attributes.items())
        return response, ((CONTENT_TYPE, b"application/json"), *headers)
    event = {**attributes, "datacontenttype": "application/json", "data": response}
    return event, ((CONTENT_TYPE, STRUCTURED.encode()),)


def _check(attributes: dict[str, Any]) -> None:
    for name in _REQUIRED:
        value = attributes.get(name)
        if not isinstance(value, str) or not value:
            raise Invalid(
                _TITLE, f"attribute {name!r} is missing or not a string that says something"
            )
    if len(attributes["id"]) > MAX_ID_CHARACTERS:
        raise Invalid(_TITLE, f"attribute 'id' has more than {MAX_ID_CHARACTERS} characters")
    if attributes["specversion"] != "1.0":
        raise Invalid(_TITLE, f"specversion {attributes['specversion'][:20]!r}; this takes 1.0")


def _data(event: dict[str, Any]) -> dict[str, Any]:
    if "data_base64" in event:
        try:
            return decode_object(base64.b64decode(event["data_base64"], validate=True))
        except (binascii.Error, TypeError, ValueError):
            raise Invalid(_TITLE, "data_base64 is not base64") from None
    data = event.get("data")
    if not isinstance(data, dict):
        raise Invalid(_TITLE, "data is not a JSON object")
    return data
