"""Dead letters of events, with the headers that Kafka consoles and Spring redrive them by."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from itertools import takewhile

from streamproc.enrichment.route import Route
from streamproc.errors import OperatorError
from streamproc.kafka.dead_letters import DeadLetter
from streamproc.messages.outgoing import ERROR_PREFIX, dead_letter, without_original
from streamproc.messages.record import Headers, ProducerRecord, Record
from streamproc.messages.response import Problem

ORIGINAL = "kafka_dlt-original-"
OWN_COUNT = "streamproc-event-headers"
"""How many headers of the event's own stand in front of this one, which is the first of ours."""


def event_dead_letter(record: Record, problem: Problem, route: Route) -> ProducerRecord:
    """The event's bytes, key and headers, why it was given up on, and where it lay.

    Ours stand behind the event's own, whatever names those have, so that a replay sends all of its
    own again. Beside ours those of Spring's DeadLetterPublishingRecoverer, as it writes them: the
    partition is an integer of 4 bytes and the offset one of 8, both big-endian.
    """
    own = () if record.unreadable is not None else _own(record.headers)
    letter = dead_letter(replace(record, headers=()), problem, None, route.dlq)
    headers: Headers = (
        *own,
        (OWN_COUNT, b"%d" % len(own)),
        *letter.headers,
        ("streamproc-route", route.name.encode()),
        (f"{ORIGINAL}topic", record.topic.encode()),
        (f"{ORIGINAL}partition", record.topic_partition.to_bytes(4, "big")),
        (f"{ORIGINAL}offset", record.offset.to_bytes(8, "big")),
        (f"{ORIGINAL}timestamp", max(record.timestamp_ms, 0).to_bytes(8, "big")),
        ("kafka_dlt-exception-message", f"{problem.title}: {problem.detail}".encode()),
    )
    return replace(letter, headers=headers)


def without_event(letter: ProducerRecord) -> ProducerRecord:
    """A dead letter with the reason and where the event lay, but nothing of the event's own."""
    ours = letter.headers[len(_own(letter.headers)) :]
    return without_original(replace(letter, headers=ours))


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
    record = letter.record
    own = _own(record.headers)
    if len(own) == len(record.headers):
        # Something on the way changed the headers: what a dead letter says is left out by name.
        own = tuple(takewhile(lambda header: not header[0].startswith(ERROR_PREFIX), own))
    return ProducerRecord(topic, record.key, record.value, own)


def _own(headers: Headers) -> Headers:
    """Those of the event: in a dead letter, or in one that a console sent again as it was."""
    for number, (name, value) in reversed([*enumerate(headers)]):
        if name == OWN_COUNT and value == b"%d" % number:
            return headers[:number]
    return headers
