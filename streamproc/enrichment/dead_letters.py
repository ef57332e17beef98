"""Dead letters of events, with the headers that Kafka consoles and Spring redrive them by."""

from __future__ import annotations

from dataclasses import replace

from streamproc.enrichment.route import Route
from streamproc.messages.outgoing import dead_letter
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
