"""The records a finished request leaves: its response, and its dead letter."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

import orjson

from streamproc.messages.cloudevents import BINARY_PREFIX, CONTENT_TYPE, Envelope
from streamproc.messages.record import Headers, ProducerRecord, Record
from streamproc.messages.response import Coverage, MemberReport, Problem, Response, Timing

REPLY_TOPIC = "reply-topic"
ORIGINAL_ID = "streamproc-original-id"
ERROR_PREFIX = "streamproc-error-"
LEFT_OUT = "streamproc-error-original-left-out"
_HANDED_ON = ("traceparent", "tracestate", "correlation-id")
# What a response says for itself, and what a request says to the worker alone.
_OURS = ("streamproc-", BINARY_PREFIX, CONTENT_TYPE, REPLY_TOPIC)
_ORIGIN_TOPIC = "streamproc-request-topic"
_ORIGIN_PARTITION = "streamproc-request-partition"
_ORIGIN_OFFSET = "streamproc-request-offset"
MAX_ERROR_HEADER_CHARACTERS = 2000
# Of a request's key and headers; beyond, an answer that its topic does not take is sent bare.
MAX_KEPT_BYTES = 16 * 1024


def response_record(
    record: Record,
    response: Response,
    envelope: Envelope,
    topic: str,
    now_ms: int,
    copied: Collection[str] = (),
) -> ProducerRecord:
    """The response's record: JSON in the form of the request, its key, and where it came from.

    copied: names of more headers to hand on; "*" is all
    """
    body = as_json(response)
    time = datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="milliseconds")
    wrapped, form_headers = envelope.wrap(body, task=response.task, event_id=response.id, time=time)
    handed_on = tuple(
        (name, value) for name, value in record.headers if _is_handed_on(name, copied)
    )
    return ProducerRecord(
        topic=topic,
        key=record.key,
        value=orjson.dumps(wrapped),
        headers=(*form_headers, *handed_on, *_origin(record)),
    )


def is_own_header(name: str) -> bool:
    """Whether a response says something else by this header, so that it can't be a request's."""
    return name.lower().startswith(_OURS)


def _is_handed_on(name: str, copied: Collection[str]) -> bool:
    asked = "*" in copied or name in copied
    return name in _HANDED_ON or (asked and not is_own_header(name))


def dead_letter(
    record: Record, fault: Problem, request_id: str | None, topic: str
) -> ProducerRecord:
    """The original bytes, key and headers, with why they were given up on in headers beside."""
    said = {
        "type": fault.type,
        "title": fault.title,
        "detail": fault.detail[:MAX_ERROR_HEADER_CHARACTERS],
        "id": request_id or record.position,
    }
    # A letter that fails again after a replay says only why it failed this time.
    kept = tuple(
        (name, value)
        for name, value in record.headers
        if not name.startswith((ERROR_PREFIX, "streamproc-request-")) and name != ORIGINAL_ID
    )
    errors: Headers = tuple(
        (ERROR_PREFIX + name, value.encode("utf-8", "replace")) for name, value in said.items()
    )
    letter = ProducerRecord(topic, record.key, record.value, (*kept, *errors, *_origin(record)))
    return letter if record.unreadable is None else without_original(letter)


def without_original(letter: ProducerRecord) -> ProducerRecord:
    """A dead letter that says only what went wrong and where the original lies."""
    ours = (ERROR_PREFIX, "streamproc-request-")
    own = tuple((name, value) for name, value in letter.headers if name.startswith(ours))
    return ProducerRecord(
        letter.topic, None, None, (*own, (LEFT_OUT, b"true")), is_last_resort=True
    )


def as_json(response: Response) -> dict[str, Any]:
    """The response as an object ready to encode, without the fields that say nothing.

    `result` is handed on, not copied; `metadata` is the bytes it came as.
    """
    told = _told(response)
    if response.metadata is not None:
        told["metadata"] = orjson.Fragment(response.metadata)
    for name in ("coverage", "timing", "error"):
        if name in told:
            told[name] = _told(told[name])
    # An error has no members, and most requests give nothing to warn of.
    told["members"] = [_told(member) for member in response.members]
    for name in ("members", "warnings"):
        if not told[name]:
            del told[name]
    return told


def _told(said: Response | MemberReport | Coverage | Timing | Problem) -> dict[str, Any]:
    """The fields that say something; not `asdict`, which copies all that is in them."""
    fields = ((name, getattr(said, name)) for name in said.__dataclass_fields__)
    return {name: value for name, value in fields if value is not None}


def _origin(record: Record) -> Headers:
    return (
        (_ORIGIN_TOPIC, record.topic.encode()),
        (_ORIGIN_PARTITION, str(record.topic_partition).encode()),
        (_ORIGIN_OFFSET, str(record.offset).encode()),
    )
