"""What an error of Kafka's says of a record: that its topic takes none like it, or none at all."""

from __future__ import annotations

from typing import Final

from aiokafka.errors import (
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
)

from streamproc.errors import Invalid, RefusedRecord, TooLarge
from streamproc.kafka.further_errors import InvalidRecordError
from streamproc.messages.record import ProducerRecord

_TOO_LARGE: Final = (MessageSizeTooLargeError, RecordListTooLargeError)


# What no topic takes as it is, however often it is sent.
_REFUSED: Final = {
    InvalidTimestampError: (
        "its timestamp is not within message.timestamp.before.max.ms and "
        "message.timestamp.after.max.ms"
    ),
    InvalidRecordError: "it fails the broker's validation: a compacted topic takes no record "
    "without a key, for one",
}


def refused(record: ProducerRecord, error: BaseException) -> Invalid | None:
    """What is wrong with a record itself, if it was alone in its batch; None: nothing is."""
    if isinstance(error, _TOO_LARGE):
        return TooLarge("record too large", f"{record.topic} rejected it: {error}")
    if type(error) in _REFUSED:
        reason = not_taken(record, error)
        return RefusedRecord("refused by its topic", f"{record.topic}: {reason}")
    return None


def raise_if_refused(record: ProducerRecord, error: KafkaError) -> None:
    """Raise what is wrong with a record that was alone in its batch, if that may be said of it."""
    reason = refused(record, error)
    is_large = isinstance(reason, TooLarge) and not record.is_last_resort
    if reason is not None and (is_large or record.instead is not None):
        raise reason from None


def not_taken(record: ProducerRecord, error: BaseException) -> str:
    """Why a topic took no record, in a clause."""
    if isinstance(error, _TOO_LARGE):
        size = f"a record of {record.size_bytes} bytes"
        return f"it rejects {size}: raise its max.message.bytes"
    if isinstance(error, TopicAuthorizationFailedError):
        return "this user may not write it: an ACL is missing"
    if (fault := _REFUSED.get(type(error))) is not None:
        return f"it refuses a record: {fault}"
    return f"sending to it fails: {type(error).__name__}"
