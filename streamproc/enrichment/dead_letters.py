"""Dead letters of events, with the headers that Kafka consoles and Spring redrive them by."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from itertools import takewhile

from streamproc.enrichment.route import Route
from streamproc.errors import OperatorError
from streamproc.kafka.dead_letters import DeadLetter
from streamproc.messages.outgoing import ERROR_PREFIX, dead_letter
from streamproc.messages.record import Headers, ProducerRecord, Record
from streamproc.messages.response import Problem

ORIGINAL = "kafka_dlt-original-"


def event_dead_letter(record: Record, problem: Problem, route: Route) -> ProducerRecord:
    """The event's bytes, key and headers, why it was given up on, and where it lay.

    Beside our own headers those of Spring's DeadLetterPublishingRecoverer, as it writes them: the
    partition is an integer of 4 bytes and the offset one of 8, both big-endian.
    """
    letter = dead_letter(record, problem, None, route.dlq)
    headers: Headers = (
        *((name, value) for name, value in letter.headers if not name.startswith("kafka_dlt-")),
        ("streamproc-route", route.name.encode()),
        (f"{ORIGINAL}topic", record.topic.encode()),
        (f"{ORIGINAL}partition", record.topic_partition.to_bytes(4, "big")),
        (f"{ORIGINAL}offset", record.offset.to_bytes(8, "big")),
        (f"{ORIGINAL}timestamp", max(record.timestamp_ms, 0).to_bytes(8, "big")),
        ("kafka_dlt-exception-message", f"{problem.title}: {problem.detail}".encode()),
    )
    return replace(letter, headers=headers)


def original_event(letter: DeadLetter, topics: Collection[str]) -> ProducerRecord:
    """The event's bytes, key and headers, to go through its route again.

    topics: that the route reads
    Raises OperatorError where the event came by none of them.
    """
    topic = letter.request_topic
    if topic not in topics:
        raise OperatorError(
            f"dead letter {letter.record.position} is of {topic!r}, which the route does not read; "
            "nothing was replayed to it"
        )
    # What a dead letter says of itself stands behind the headers of the event.
    own = takewhile(lambda header: not header[0].startswith(ERROR_PREFIX), letter.record.headers)
    return ProducerRecord(topic, letter.record.key, letter.record.value, tuple(own))
