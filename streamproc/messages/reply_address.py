"""Where a request wants its response: our own header, or those that Spring Kafka sends."""

from __future__ import annotations

from typing import Final

from streamproc.errors import Invalid
from streamproc.frozen import frozen
from streamproc.messages.record import Headers, Record

REPLY_TOPIC: Final = "reply-topic"
SPRING_REPLY_TOPIC: Final = "kafka_replyTopic"
SPRING_REPLY_PARTITION: Final = "kafka_replyPartition"
SPRING_CORRELATION_ID: Final = "kafka_correlationId"
_PARTITION_BYTES: Final = 4


@frozen()
class ReplyAddress:
    """A topic, and one topic-partition of it; None: the one that the record's key leads to."""

    topic: str
    topic_partition: int | None = None


def asked_reply(record: Record) -> ReplyAddress | None:
    """The address that a request's headers ask for; None: it asks for none.

    `reply-topic` goes before Spring's `kafka_replyTopic`. Spring's `kafka_replyPartition` is an
    integer of four bytes, the highest first, and says nothing without a topic.
    Raises Invalid where that is something else.
    """
    if not record.headers:
        return None
    topic = record.header(REPLY_TOPIC) or record.header(SPRING_REPLY_TOPIC)
    if not topic:
        return None
    return ReplyAddress(topic.decode("utf-8", "replace"), _topic_partition(record))


def reply_headers(address: ReplyAddress, correlation_id: bytes) -> Headers:
    """What a request that wants its response there says, as Spring's template does."""
    headers: Headers = (
        (SPRING_REPLY_TOPIC, address.topic.encode()),
        (SPRING_CORRELATION_ID, correlation_id),
    )
    if address.topic_partition is None:
        return headers
    number = address.topic_partition.to_bytes(_PARTITION_BYTES, "big")
    return (*headers, (SPRING_REPLY_PARTITION, number))


def _topic_partition(record: Record) -> int | None:
    number = record.header(SPRING_REPLY_PARTITION)
    if not number:
        return None
    found = int.from_bytes(number[:_PARTITION_BYTES], "big", signed=True)
    if len(number) != _PARTITION_BYTES or found < 0:
        raise Invalid(
            "reply partition not readable",
            f"header {SPRING_REPLY_PARTITION} must be an integer of {_PARTITION_BYTES} bytes, "
            "the highest first, and not negative",
        )
    return found
