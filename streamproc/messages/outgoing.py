"""The records that end a request: its response, and its dead letter."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict, fields
from operator import attrgetter
from typing import Any, Final

import orjson

from streamproc.messages.cloudevents import BINARY_PREFIX, CONTENT_TYPE, Envelope
from streamproc.messages.parts import PART, Part
from streamproc.messages.record import Headers, ProducerRecord, Record
from streamproc.messages.reply_address import (
    REPLY_TOPIC,
    SPRING_CORRELATION_ID,
    SPRING_REPLY_PARTITION,
    SPRING_REPLY_TOPIC,
    ReplyAddress,
)
from streamproc.messages.request import Request
from streamproc.messages.response import (
    Coverage,
    ExperimentArm,
    MemberReport,
    Problem,
    Response,
    Timing,
    Usage,
)

ORIGINAL_ID = "streamproc-original-id"
ERROR_PREFIX = "streamproc-error-"
LEFT_OUT = "streamproc-error-original-left-out"
TRACE_HEADERS = ("traceparent", "tracestate")
"""Of W3C Trace Context: the trace that a record is part of."""
CORRELATION_ID = "correlation-id"
_COPIED = (*TRACE_HEADERS, CORRELATION_ID, SPRING_CORRELATION_ID)
# Headers that have another meaning in a response, or are meant for the worker alone.
_OURS = (
    "streamproc-",
    BINARY_PREFIX,
    CONTENT_TYPE,
    REPLY_TOPIC,
    SPRING_REPLY_TOPIC.lower(),
    SPRING_REPLY_PARTITION.lower(),
)
ORIGIN_PREFIX = "streamproc-request-"
"""Of the headers that say where a request lies, on its response and on its dead letter."""
_ORIGIN_TOPIC, _ORIGIN_PARTITION, _ORIGIN_OFFSET = (
    ORIGIN_PREFIX + name for name in ("topic", "partition", "offset")
)
MAX_ERROR_HEADER_CHARACTERS = 2000
# Above this size of key and headers, a response that its topic rejects is sent without them.
MAX_KEPT_BYTES = 16 * 1024


def response_record(
    record: Record,
    response: Response,
    envelope: Envelope,
    to: ReplyAddress,
    now_ms: int,
    copied: Collection[str] = (),
) -> ProducerRecord:
    """The response's record: JSON in the form of the request, its key, and where it came from.

    copied: names of more headers to copy; "*" is all
    """
    wrapped, form_headers = envelope.wrap(
        as_json(response), task=response.task, event_id=response.id, time_ms=now_ms
    )
    return ProducerRecord(
        topic=to.topic,
        key=record.key,
        value=orjson.dumps(wrapped),
        headers=(*form_headers, *_copied_headers(record, copied), *_origin(record)),
        ordered_by=response.id.encode("utf-8", "replace"),
        continues_trace=True,
        topic_partition=to.topic_partition,
    )


def part_record(
    record: Record,
    part: Part,
    request: Request,
    task: str,
    to: ReplyAddress,
    now_ms: int,
    copied: Collection[str] = (),
) -> ProducerRecord:
    """A part's record: as the response's, which lies behind it, with a header that tells it apart.

    copied: names of more headers to copy; "*" is all
    """
    body = {"id": request.id, "task": task, **asdict(part)}
    wrapped, form_headers = request.envelope.wrap(
        body,
        task=task,
        event_id=f"{request.id}/{part.attempt}/{part.sequence}",
        time_ms=now_ms,
        kind="part",
    )
    number = (PART, str(part.sequence).encode())
    return ProducerRecord(
        topic=to.topic,
        key=record.key,
        value=orjson.dumps(wrapped),
        headers=(number, *form_headers, *_copied_headers(record, copied), *_origin(record)),
        ordered_by=request.id.encode("utf-8", "replace"),
        topic_partition=to.topic_partition,
    )


def _copied_headers(record: Record, copied: Collection[str]) -> Headers:
    if not record.headers:
        return ()
    return tuple((name, value) for name, value in record.headers if _is_copied(name, copied))


def is_own_header(name: str) -> bool:
    """Whether the header means something else in a response, so that it is never copied."""
    return name.lower().startswith(_OURS)


def _is_copied(name: str, copied: Collection[str]) -> bool:
    asked = "*" in copied or name in copied
    return name in _COPIED or (asked and not is_own_header(name))


def dead_letter(
    record: Record, problem: Problem, request_id: str | None, topic: str
) -> ProducerRecord:
    """The original bytes, key and headers, with the reason in further headers."""
    said = {
        "type": problem.type,
        "title": problem.title,
        "detail": problem.detail[:MAX_ERROR_HEADER_CHARACTERS],
        "id": request_id or record.position,
    }
    # After a replay only the latest reason counts.
    kept = tuple(
        (name, value)
        for name, value in record.headers
        if not name.startswith((ERROR_PREFIX, ORIGIN_PREFIX)) and name != ORIGINAL_ID
    )
    errors: Headers = tuple(
        (ERROR_PREFIX + name, value.encode("utf-8", "replace")) for name, value in said.items()
    )
    letter = ProducerRecord(topic, record.key, record.value, (*kept, *errors, *_origin(record)))
    return letter if record.unreadable is None else without_original(letter)


def without_original(letter: ProducerRecord) -> ProducerRecord:
    """A dead letter with the reason and the position of the original, but not the original."""
    ours = (ERROR_PREFIX, ORIGIN_PREFIX)
    own = tuple((name, value) for name, value in letter.headers if name.startswith(ours))
    return ProducerRecord(
        letter.topic, None, None, (*own, (LEFT_OUT, b"true")), is_last_resort=True
    )


def as_json(response: Response) -> dict[str, Any]:
    """The response as an object ready to encode, without empty fields.

    `result` is not copied; `metadata` is the original bytes.
    """
    body = _set_fields(response)
    if response.metadata is not None:
        body["metadata"] = orjson.Fragment(response.metadata)
    for name in ("coverage", "timing", "usage", "error", "experiment"):
        if name in body:
            body[name] = _set_fields(body[name])
    # An error has no members, and most responses have no warnings.
    body["members"] = [_set_fields(member) for member in response.members]
    for name in ("members", "warnings"):
        if not body[name]:
            del body[name]
    return body


def _set_fields(
    said: Response | MemberReport | Coverage | Timing | Usage | Problem | ExperimentArm,
) -> dict[str, Any]:
    """The fields that are not None; not `asdict`, which copies everything in them."""
    names, values = _FIELDS[type(said)]
    return {
        name: value for name, value in zip(names, values(said), strict=True) if value is not None
    }


def _reader(kind: type[Any]) -> tuple[tuple[str, ...], Callable[[object], tuple[Any, ...]]]:
    """The names of a dataclass's fields, and what takes all of their values at once."""
    names = tuple(one.name for one in fields(kind))
    return names, attrgetter(*names)


_FIELDS: Final = {
    kind: _reader(kind)
    for kind in (Response, MemberReport, Coverage, Timing, Usage, Problem, ExperimentArm)
}


def _origin(record: Record) -> Headers:
    return (
        (_ORIGIN_TOPIC, record.topic.encode()),
        (_ORIGIN_PARTITION, b"%d" % record.topic_partition),
        (_ORIGIN_OFFSET, b"%d" % record.offset),
    )
