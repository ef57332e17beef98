"""A request: what a record asks for, validated in everything but what its task alone knows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from streamproc.errors import Invalid, TooLarge
from streamproc.messages.cloudevents import (
    MAX_ID_CHARACTERS,
    Envelope,
    Form,
    form_of,
    open_envelope,
    read_content,
)
from streamproc.messages.decoding import Unreadable, refuse_depth
from streamproc.messages.record import Record

# What a sender wrote is named in an error; a hostile one must not make the answer large by it.
_MAX_FAULTS = 8
_MAX_CLAUSE_CHARACTERS = 300
ENSEMBLE_NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"


class RequestFields(BaseModel):
    """The fields every request may have, whatever its task; the task's own come beside them."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    id: str | None = Field(None, min_length=1, max_length=MAX_ID_CHARACTERS)
    ensemble: str | None = Field(None, pattern=ENSEMBLE_NAME)
    params: dict[str, Any] = Field(default_factory=dict)
    deadline_ms: int | None = Field(None, gt=0, le=7 * 24 * 3600 * 1000)
    metadata: Any = None


@dataclass(frozen=True, slots=True)
class Request:
    """A readable request.

    inputs: the fields that are the task's own (`text`, or `question` and `context`)
    deadline_at_ms: milliseconds since the epoch; None: no deadline
    """

    id: str
    ensemble: str | None
    inputs: dict[str, Any]
    params: dict[str, Any]
    deadline_at_ms: int | None
    metadata: Any
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that is no valid request, with what could still be told about it.

    request_id: None where no id could be read, and so nobody can be answered
    """

    reason: Invalid
    request_id: str | None
    metadata: Any
    envelope: Envelope


def read_request(record: Record, max_bytes: int) -> Request | Refused:
    """The request in a record, or why there is none; never raises for what a record holds."""
    envelope, fields = Envelope(form_of(record)), dict[str, Any]()
    try:
        _refuse_damage(record)
        _refuse_size(record, max_bytes)
        envelope, attributes = open_envelope(record)
        fields = read_content(record, envelope.form, attributes)
        refuse_depth(fields)
        known = _validated(fields)
    except Invalid as reason:
        request_id = _salvaged_id(fields) or _original_id(record) or envelope.event_id
        if request_id is None and not isinstance(reason, Unreadable):
            request_id = record.position
        deep = reason.title == "nested too deeply"
        return Refused(reason, request_id, None if deep else fields.get("metadata"), envelope)
    known_names = RequestFields.model_fields.keys()
    return Request(
        id=_original_id(record) or known.id or envelope.event_id or record.position,
        ensemble=known.ensemble,
        inputs={name: value for name, value in fields.items() if name not in known_names},
        params=known.params,
        deadline_at_ms=known.deadline_ms and record.timestamp_ms + known.deadline_ms,
        metadata=known.metadata,
        envelope=envelope,
    )


def describe(error: ValidationError, within: str = "") -> str:
    """What pydantic found, a clause a fault, each naming its field; without the values sent."""
    found = error.errors(include_input=False, include_url=False)
    clauses = [
        f"{'.'.join(map(str, (within, *fault['loc']) if within else fault['loc']))}: {fault['msg']}"
        for fault in found[:_MAX_FAULTS]
    ]
    if len(found) > _MAX_FAULTS:
        clauses.append(f"and {len(found) - _MAX_FAULTS} more")
    return "; ".join(clause[:_MAX_CLAUSE_CHARACTERS] for clause in clauses)


def _refuse_damage(record: Record) -> None:
    if record.unreadable is not None:
        raise Unreadable("damaged record", f"{record.unreadable}; only its offset is known")


def _refuse_size(record: Record, max_bytes: int) -> None:
    if record.size_bytes > max_bytes:
        raise TooLarge(
            "request too large",
            f"{record.size_bytes} bytes; at most {max_bytes} (STREAMPROC_MAX_MESSAGE_BYTES)",
        )


def _validated(fields: dict[str, Any]) -> RequestFields:
    try:
        return RequestFields.model_validate(fields)
    except ValidationError as error:
        raise Invalid("invalid request", describe(error)) from None


def _salvaged_id(fields: dict[str, Any]) -> str | None:
    found = fields.get("id")
    return found if isinstance(found, str) and 0 < len(found) <= MAX_ID_CHARACTERS else None


def _original_id(record: Record) -> str | None:
    """The id under which a replayed dead letter was first asked, so that it keeps it."""
    header = record.header("streamproc-original-id")
    if header is None:
        return None
    text = header.decode("utf-8", "replace")
    return text if re.fullmatch(rf".{{1,{MAX_ID_CHARACTERS}}}", text, re.DOTALL) else None


__all__ = [
    "ENSEMBLE_NAME",
    "MAX_ID_CHARACTERS",
    "Form",
    "Refused",
    "Request",
    "describe",
    "read_request",
]
