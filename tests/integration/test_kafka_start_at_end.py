"""A topic that is read from its end: what lies there is left alone, what comes is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from streamproc.kafka.dispatcher import Subscription
from streamproc.kafka.producer import Producer
from streamproc.kafka.worker import KafkaWorker
from streamproc.messages.lane import Lane
from streamproc.messages.record import Record
from tests.support.kafka_place import CLOCK, Place, until

pytestmark = pytest.mark.kafka


@pytest.fixture
async def place(kafka: str) -> Place:
    made = Place(kafka, topic_partitions=4)
    await made.make()
    return made


@asynccontextmanager
async def reading(place: Place, *from_end: str) -> AsyncIterator[set[bytes]]:
    """The keys that a ready worker gets, of the topic of requests and of those from their end."""
    keys: set[bytes] = set()

    async def handle(record: Record) -> None:
        keys.add(record.key or b"")

    subscriptions = [Subscription(place.requests, Lane.INTERACTIVE, handle)]
    subscriptions += [
        Subscription(topic, Lane.BULK, handle, starts_at_end=True) for topic in from_end
    ]
    producer = Producer(place.settings, CLOCK)
    worker = KafkaWorker(place.settings, subscriptions, clock=CLOCK, producer=producer)
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    try:
        await until(worker.ready, running)
        yield keys
    finally:
        stop.set()
        await asyncio.wait({running}, timeout=60)


async def test_a_new_group_skips_what_is_there_and_goes_on_where_it_left_off(place: Place) -> None:
    await place.send(20, place.bulk, name="before")
    async with reading(place, place.bulk) as keys:
        new = await place.send(20, place.bulk, name="new")
        await until(lambda: new <= keys)
    meanwhile = await place.send(20, place.bulk, name="meanwhile")
    async with reading(place, place.bulk) as later:
        await until(lambda: meanwhile <= later)

    assert keys == new
    assert later == meanwhile
    assert sum((await place.committed_of(place.bulk)).values()) == 60


async def test_a_topic_added_to_a_group_that_runs_is_read_from_its_end(place: Place) -> None:
    before = await place.send(20, place.requests)
    await place.send(20, place.bulk, name="before")
    async with reading(place) as first:
        await until(lambda: before <= first)
        async with reading(place, place.bulk) as one, reading(place, place.bulk) as other:
            committed = await place.committed_of(place.bulk)
            new = await place.send(20, place.bulk, name="new")
            await until(lambda: new <= one | other)

    assert sum(committed.values()) == 20
    assert len(committed) == place.topic_partitions
    assert one | other == new
    assert first == before


async def test_what_lies_in_a_topic_partition_that_was_added_is_read(place: Place) -> None:
    async with reading(place, place.bulk):
        pass
    admin = AIOKafkaAdminClient(bootstrap_servers=place.settings.kafka_bootstrap_servers)
    await admin.start()
    await admin.create_partitions({place.bulk: NewPartitions(8)})
    await admin.close()
    new = await place.send(100, place.bulk, name="new")
    async with reading(place, place.bulk) as keys:
        await until(lambda: new <= keys)

    assert keys == new
