"""A consumer group that does not take the worker in: told, waited out, or the end where final."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from structlog.testing import capture_logs

from streamproc.errors import OperatorError
from streamproc.kafka.dispatcher import Subscription
from streamproc.kafka.producer import Producer
from streamproc.kafka.worker import KafkaWorker
from streamproc.messages.lane import Lane
from streamproc.messages.record import ProducerRecord, Record
from tests.support.kafka_place import CLOCK, Place, until, until_answered

pytestmark = pytest.mark.kafka


@pytest.fixture
async def place(kafka: str) -> Place:
    made = Place(kafka, topic_partitions=2)
    await made.make()
    return made


def build_worker(place: Place) -> KafkaWorker:
    producer = Producer(place.settings, CLOCK)

    async def handle(record: Record) -> None:
        await producer.send(ProducerRecord(place.responses, record.key, record.value))

    routes = [Subscription(place.requests, Lane.INTERACTIVE, handle)]
    return KafkaWorker(place.settings, routes, clock=CLOCK, producer=producer)


async def test_a_worker_says_why_the_group_refuses_it_and_works_once_it_does_not(
    place: Place,
) -> None:
    keys = await place.send(10)
    other = AIOKafkaConsumer(
        place.requests,
        bootstrap_servers=place.settings.kafka_bootstrap_servers,
        group_id=place.settings.group_id,
        enable_auto_commit=False,
        partition_assignment_strategy=[RangePartitionAssignor],
    )
    await other.start()
    worker, stop = build_worker(place), asyncio.Event()
    with capture_logs() as logs:
        running = asyncio.create_task(worker.run(stop))
        await until(lambda: any("another protocol" in why for why in worker.not_ready()), running)
        await asyncio.sleep(2)
        await other.stop()
        await until(worker.ready, running)
        await until_answered(place, keys)
        stop.set()
        await running
    told = [line for line in logs if line["event"] == "consumer group refused the worker"]
    assert len(told) == 1
    assert "STREAMPROC_GROUP_ID" in told[0]["reason"]


async def test_a_session_time_out_that_the_broker_does_not_allow_ends_the_worker_in_a_sentence(
    place: Place,
) -> None:
    place.settings = place.settings.model_copy(update={"session_timeout_s": 1})
    with pytest.raises(OperatorError, match="STREAMPROC_SESSION_TIMEOUT_S is outside of what"):
        await asyncio.wait_for(build_worker(place).run(asyncio.Event()), 60)
