"""The worker without its broker: at the start, and in the middle of work."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamproc.clock import SystemClock
from streamproc.kafka.dispatcher import Subscription
from streamproc.kafka.embedded import EmbeddedBroker
from streamproc.kafka.producer import Producer
from streamproc.kafka.worker import KafkaWorker
from streamproc.messages.lane import Lane
from streamproc.messages.record import ProducerRecord, Record
from streamproc.settings import read_settings
from tests.support.kafka_place import Place, until, until_answered, working

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(tmp_path, cache_dir=read_settings().cache_dir) as broker:
        yield broker


@pytest.fixture
async def place(own_kafka: EmbeddedBroker) -> Place:
    made = Place(own_kafka.bootstrap_servers, topic_partitions=4)
    await made.make()
    return made


async def test_a_broker_that_stops_under_load_and_comes_back_costs_no_answer(
    own_kafka: EmbeddedBroker, place: Place
) -> None:
    keys = await place.send(600)
    gone = asyncio.Event()

    async def handle(producer: Producer, record: Record) -> None:
        # None is answered before the broker has stopped, so that all of them meet its absence.
        await gone.wait()
        await producer.send(ProducerRecord(place.responses, record.key, b""))

    async with working(place, handle) as (worker, stop, running):
        # The lane is full as soon as they arrive; they begin once the group's ledger has been read.
        await until(lambda: worker.is_paused(Lane.INTERACTIVE) and worker.in_flight > 0, running)
        await asyncio.to_thread(own_kafka.stop)
        gone.set()
        await until(lambda: not worker.ready(), running)
        assert any("Kafka" in reason for reason in worker.not_ready())
        await asyncio.to_thread(own_kafka.start)
        answers = await until_answered(place, keys, 120)
        await until(worker.ready, running, 60)
        stop.set()
        await running
    assert answers.keys() == keys
    assert sum((await place.committed()).values()) == 600


async def test_a_worker_waits_for_a_broker_that_is_not_there_yet_and_can_be_stopped() -> None:
    clock = SystemClock()
    place = Place("127.0.0.1:1", topic_partitions=1)
    producer = Producer(place.settings, clock)

    async def handle(record: Record) -> None:
        raise AssertionError(record.position)

    worker = KafkaWorker(
        place.settings,
        [Subscription(place.requests, Lane.INTERACTIVE, handle)],
        clock=clock,
        producer=producer,
    )
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    await until(lambda: "Kafka: no broker answers" in worker.not_ready(), running)
    stop.set()
    await asyncio.wait_for(running, 30)
