"""A request: what a record asks for, validated but for what its task alone knows."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from streamproc.errors import Invalid, TooLarge, Unreadable
from streamproc.frozen import frozen
from streamproc.messages.cloudevents import MAX_ID_CHARACTERS, Envelope, Opened
from streamproc.messages.record import Record
from streamproc.messages.validation import describe

ENSEMBLE_NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"


class RequestFields(BaseModel):
    """The fields that every request may have, whatever its task; the task's own come on top."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    id: str | None = Field(None, min_length=1, max_length=MAX_ID_CHARACTERS)
    ensemble: str | None = Field(None, pattern=ENSEMBLE_NAME)
    params: dict[str, Any] = Field(default_factory=dict)
    deadline_ms: int | None = Field(None, gt=0, le=7 * 24 * 3600 * 1000)
    metadata: Any = None


REQUEST_FIELDS: Final = frozenset(RequestFields.model_fields)
"""Their names."""


@frozen()
class Request:
    """A readable request.

    inputs: the fields that are the task's own (`text`, or `question` and `context`)
    given: the names of all fields it has
    position: of the record that it came in, `topic:topic-partition:offset`
    key: of that record, by which experiments assign it to an arm
    deadline_at_ms: milliseconds since the epoch; None: no deadline
    metadata: its JSON text, as it came; None where there is none
    """

    id: str
    ensemble: str | None
    inputs: dict[str, Any]
    given: Collection[str]
    params: dict[str, Any]
    deadline_at_ms: int | None
    metadata: bytes | None
    envelope: Envelope
    position: str
    key: bytes | None = None


@dataclass(frozen=True, slots=True)
class InvalidRequest:
    """A record that is not a valid request, with what could be read of it all the same.

    request_id: None where no id could be read; then there is nobody to answer
    """

    reason: Invalid
    request_id: str | None
    metadata: bytes | None
    envelope: Envelope


def read_request(record: Record, max_bytes: int) -> Request | InvalidRequest:
    """The request in a record, or why there is none; never raises for what a record holds."""
    unopened = _damaged(record) or _too_large(record, max_bytes)
    opened = Opened(Envelope.of(record), fault=unopened) if unopened else Envelope.open(record)
    try:
        if opened.fault is not None:
            raise opened.fault
        known = RequestFields.model_validate(opened.fields)
    except Invalid as reason:
        return _refused(record, opened, reason)
    except ValidationError as error:
        return _refused(record, opened, Invalid("invalid request", describe(error)))
    return Request(
        id=_original_id(record) or known.id or opened.envelope.event_id or record.position,
        ensemble=known.ensemble,
        inputs={name: value for name, value in opened.fields.items() if name not in REQUEST_FIELDS},
        given=opened.fields.keys(),
        params=known.params,
        deadline_at_ms=known.deadline_ms and record.timestamp_ms + known.deadline_ms,
        metadata=opened.metadata,
        envelope=opened.envelope,
        position=record.position,
        key=record.key,
    )


def _refused(record: Record, opened: Opened, reason: Invalid) -> InvalidRequest:
    # The id that the answer would have had, wherever it can be read.
    request_id = _original_id(record) or _salvaged_id(opened.fields) or opened.envelope.event_id
    if request_id is None and not isinstance(reason, Unreadable):
        request_id = record.position
    return InvalidRequest(reason, request_id, opened.metadata, opened.envelope)


def _too_large(record: Record, max_bytes: int) -> TooLarge | None:
    if record.size_bytes <= max_bytes:
        return None
    return TooLarge(
        "request too large",
        f"{record.size_bytes} bytes; at most {max_bytes} (STREAMPROC_MAX_MESSAGE_BYTES)",
    )


def _damaged(record: Record) -> Unreadable | None:
    if record.unreadable is None:
        return None
    return Unreadable("damaged record", f"{record.unreadable}; only its offset is known")


def _salvaged_id(fields: dict[str, Any]) -> str | None:
    found = fields.get("id")
    return found if isinstance(found, str) and 0 < len(found) <= MAX_ID_CHARACTERS else None


def _original_id(record: Record) -> str | None:
    """The id that a replayed dead letter's request had the first time."""
    header = record.header("streamproc-original-id")
    if header is None:
        return None
    text = header.decode("utf-8", "replace")
    return text if re.fullmatch(rf".{{1,{MAX_ID_CHARACTERS}}}", text, re.DOTALL) else None
