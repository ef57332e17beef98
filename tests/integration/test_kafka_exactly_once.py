"""Exactly once against a real Kafka: answers and offsets are committed together, or not at all."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from streamproc.kafka.dispatcher import Subscription
from streamproc.kafka.outbox import Outbox
from streamproc.kafka.producer import Producer
from streamproc.kafka.worker import KafkaWorker
from streamproc.messages.lane import Lane
from streamproc.messages.record import ProducerRecord, Record
from tests.support.kafka_place import CLOCK, Place, Working, until, until_answered

pytestmark = pytest.mark.kafka
Answer = Callable[[Outbox, Record], Awaitable[None]]


@pytest.fixture
async def place(kafka: str) -> Place:
    made = Place(kafka, topic_partitions=4)
    await made.make()
    made.settings = made.settings.model_copy(update={"delivery": "exactly_once"})
    return made


@asynccontextmanager
async def answering(place: Place, answer: Answer) -> AsyncIterator[Working]:
    """A worker whose answers are committed with their offsets."""
    producer = Producer(place.settings, CLOCK)
    outbox = Outbox(producer, CLOCK)

    async def handler(record: Record) -> None:
        await answer(outbox, record)

    subscriptions = [
        Subscription(place.requests, Lane.INTERACTIVE, handler),
        Subscription(place.bulk, Lane.BULK, handler),
    ]
    worker = KafkaWorker(
        place.settings, subscriptions, clock=CLOCK, producer=producer, outbox=outbox
    )
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    try:
        await until(worker.ready, running)
        yield worker, stop, running
    finally:
        stop.set()
        await asyncio.wait({running}, timeout=60)


def echo(place: Place) -> Answer:
    async def answer(outbox: Outbox, record: Record) -> None:
        await outbox.send(ProducerRecord(place.responses, record.key, record.value))

    return answer


async def test_every_request_is_answered_once_and_committed_with_its_answer(place: Place) -> None:
    keys = await place.send(300) | await place.send(200, place.bulk)
    async with answering(place, echo(place)) as (_, stop, running):
        answers = await until_answered(place, keys)
        stop.set()
        await running
    assert answers == Counter(keys)
    assert sum((await place.committed()).values()) == 500
