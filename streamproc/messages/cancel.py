"""Taking a request back: a record beside the requests, whose key says which one."""

from __future__ import annotations

from typing import Final

from streamproc.messages.record import ProducerRecord, Record
from streamproc.messages.reply_address import SPRING_CORRELATION_ID

MAX_ID_BYTES: Final = 128
"""A request with a longer identifier can't be taken back, so that a bound on how many are kept is
one of memory."""


def cancel_record(topic: str, correlation_id: bytes) -> ProducerRecord:
    """The record that takes back the request with this `kafka_correlationId`."""
    return ProducerRecord(topic, correlation_id, None)


def cancelled_id(record: Record) -> bytes | None:
    """The identifier of the request that a record takes back; None: of none that can be."""
    return _bounded(record.key)


def cancellable_id(record: Record) -> bytes | None:
    """The identifier that a request can be taken back by; None: it can't be."""
    return _bounded(record.header(SPRING_CORRELATION_ID))


def _bounded(found: bytes | None) -> bytes | None:
    return found if found and len(found) <= MAX_ID_BYTES else None
