"""JSON Schemas of the headers that messages have; the names are those that the worker uses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from streamproc.enrichment.dead_letters import ORIGINAL, OWN_COUNT
from streamproc.messages.cloudevents import BINARY_PREFIX, CONTENT_TYPE
from streamproc.messages.outgoing import CORRELATION_ID, ORIGIN_PREFIX, TRACE_HEADERS
from streamproc.messages.reply_address import REPLY_TOPIC, SPRING_CORRELATION_ID

_TEXT: Final = {"type": "string"}
_TRACE: Final = {
    name: _TEXT | {"description": "W3C Trace Context: the trace that the record is part of."}
    for name in TRACE_HEADERS
}
_ORIGIN: Final = {
    "topic": {"type": "string"},
    "partition": {"type": "string", "pattern": "^[0-9]+$"},
    "offset": {"type": "string", "pattern": "^[0-9]+$"},
}
_CLOUD_EVENT: Final = {
    CONTENT_TYPE: {
        "type": "string",
        "description": "application/cloudevents+json of a structured CloudEvent.",
    },
    f"{BINARY_PREFIX}specversion": {
        "const": "1.0",
        "description": f"Of a binary CloudEvent, as all headers {BINARY_PREFIX}* are.",
    },
}


def request_headers() -> dict[str, Any]:
    """What a worker reads; each may be missing."""
    reply = {
        "type": "string",
        "description": "Where the response goes; one of STREAMPROC_REPLY_TOPICS.",
    }
    return _object({**_CLOUD_EVENT, **_correlated(), REPLY_TOPIC: reply})


def response_headers(copied: Iterable[str]) -> dict[str, Any]:
    """What a response has. copied: names of more headers that are those of the request"""
    of_request = {"description": "That of the request, where it has one."}
    more = {name: of_request for name in copied if name != "*"}
    origin = {ORIGIN_PREFIX + name: one for name, one in _ORIGIN.items()}
    return _object({**_CLOUD_EVENT, **_correlated(), **more, **origin}, required=origin)


def enriched_headers() -> dict[str, Any]:
    """What an event that has been through a route has, beside headers of its own."""
    added = {
        "streamproc-route": {"type": "string"},
        **{f"streamproc-source-{name}": one for name, one in _ORIGIN.items()},
    }
    return _object({**_TRACE, **added}, required=added)


def event_letter_headers(dead_letter: dict[str, Any]) -> dict[str, Any]:
    """What a route's dead letter has. dead_letter: the schema of the headers of any"""
    bytes_ = {"description": "Big-endian bytes, as Spring's DeadLetterPublishingRecoverer writes."}
    count = {
        "type": "string",
        "description": "How many headers of the event's own stand before it.",
    }
    added = {
        OWN_COUNT: count,
        "streamproc-route": {"type": "string"},
        f"{ORIGINAL}topic": {"type": "string"},
        **{f"{ORIGINAL}{name}": bytes_ for name in ("partition", "offset", "timestamp")},
        "kafka_dlt-exception-message": {"type": "string"},
    }
    return {**dead_letter, "properties": {**dead_letter["properties"], **added}}


def _correlated() -> dict[str, Any]:
    copied = {"type": "string", "description": "Copied from the request to its response."}
    taken_back = {
        "description": "Bytes that are copied from the request to its response, and by which the "
        "request can be taken back; they should be random."
    }
    return {**_TRACE, CORRELATION_ID: copied, SPRING_CORRELATION_ID: taken_back}


def _object(properties: dict[str, Any], required: Iterable[str] = ()) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    return schema | ({"required": list(required)} if required else {})
