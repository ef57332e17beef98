"""Topics of responses that are gone or take too little: told, waited for, nothing lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streamproc.errors import RefusedRecord
from streamproc.kafka.dispatcher import Subscription
from streamproc.kafka.producer import Producer
from streamproc.kafka.topic_reader import read_topic
from streamproc.kafka.worker import KafkaWorker
from streamproc.logs import configure_logging
from streamproc.messages.lane import Lane
from streamproc.messages.record import ProducerRecord, Record
from tests.support.instead import letter
from tests.support.kafka_place import CLOCK, Place, until, until_answered

pytestmark = pytest.mark.kafka


@pytest.fixture
async def place(kafka: str) -> Place:
    made = Place(kafka, topic_partitions=2)
    await made.make()
    # Sixteen requests fill the lane.
    made.settings = made.settings.model_copy(update={"max_in_flight_bytes": 1 << 20})
    return made


@pytest.fixture
async def admin(kafka: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await client.start()
    yield client
    await client.close()


def build_worker(place: Place, other: str) -> KafkaWorker:
    """Answers on the topic of responses, and what comes by the bulk topic on another one."""
    producer = Producer(place.settings, CLOCK)

    def answering(topic: str, name: str) -> Subscription:
        async def handle(record: Record) -> None:
            answer = ProducerRecord(topic, record.key, record.value, is_last_resort=True)
            await producer.send(answer)

        return Subscription(name, Lane.INTERACTIVE, handle, publishes_to=frozenset({topic}))

    routes = [answering(place.responses, place.requests), answering(other, place.bulk)]
    return KafkaWorker(
        place.settings,
        routes,
        clock=CLOCK,
        producer=producer,
        needed_topics={place.requests, place.bulk, place.responses, other},
    )


async def test_a_topic_of_responses_that_is_deleted_holds_up_its_own_requests_alone(
    place: Place, admin: AIOKafkaAdminClient, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(place.settings)
    other = f"{place.responses}.other"
    await admin.create_topics([NewTopic(other, 1, 1)])
    worker, stop = build_worker(place, other), asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    await until(worker.ready, running)
    await admin.delete_topics([place.responses])
    keys = await place.send(60)
    await until(lambda: not worker.ready(), running)
    (reason,) = worker.not_ready()
    assert reason.startswith(f"topic {place.responses}: it does not exist")
    other_keys = await place.send(40, place.bulk)
    async with asyncio.timeout(60):
        while {r.key async for r in read_topic(place.settings, other)} != other_keys:  # noqa: ASYNC110
            await asyncio.sleep(0.3)
    assert not worker.ready()
    async with asyncio.timeout(60):
        while sum((await place.committed()).values()) < 40:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert sum((await place.committed()).values()) == 40
    await admin.create_topics([NewTopic(place.responses, 2, 1)])
    await until_answered(place, keys)
    await until(worker.ready, running)
    stop.set()
    await running
    assert sum((await place.committed()).values()) == 100
    lines = capsys.readouterr().err.splitlines()
    assert sum("topic rejects records" in line for line in lines) == 1
    assert sum("topic accepts records again" in line for line in lines) == 1
    assert len(lines) < 40


async def test_a_topic_that_takes_less_than_an_error_record_is_named_and_waited_for(
    place: Place, admin: AIOKafkaAdminClient
) -> None:
    async def take(size_bytes: int) -> None:
        config = {"max.message.bytes": str(size_bytes)}
        resource = ConfigResource(ConfigResourceType.TOPIC, place.responses, config)
        await admin.alter_configs([resource])

    other = f"{place.responses}.other"
    await admin.create_topics([NewTopic(other, 1, 1)])
    await take(300)
    keys = await place.send(5, size_bytes=1000)
    worker, stop = build_worker(place, other), asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    await until(lambda: any("max.message.bytes" in why for why in worker.not_ready()), running)
    await take(5000)
    await until_answered(place, keys)
    await until(worker.ready, running)
    stop.set()
    await running


@pytest.mark.parametrize(
    ("config", "key", "timestamp_ms", "says"),
    [
        ({"message.timestamp.before.max.ms": "60000"}, b"key", 1_000, "message.timestamp.before"),
        ({"cleanup.policy": "compact"}, None, None, "fails the broker's validation"),
    ],
)
async def test_a_record_that_its_topic_takes_in_no_case_is_given_up_and_others_are_stored(
    place: Place,
    admin: AIOKafkaAdminClient,
    config: dict[str, str],
    key: bytes | None,
    timestamp_ms: int | None,
    says: str,
) -> None:
    topic = f"{place.responses}.enriched"
    await admin.create_topics([NewTopic(topic, 1, 1, topic_configs=config)])
    producer = Producer(place.settings, CLOCK)
    await producer.start()
    others = [ProducerRecord(topic, b"%d" % at, b"", instead=letter) for at in range(20)]
    refused = ProducerRecord(topic, key, b"", timestamp_ms=timestamp_ms, instead=letter)
    async with asyncio.timeout(60):
        first, *stored = await asyncio.gather(
            *(producer.send(one) for one in [refused, *others]), return_exceptions=True
        )
    assert isinstance(first, RefusedRecord)
    assert says in first.detail
    assert stored == [None] * len(others)
    assert {r.key async for r in read_topic(place.settings, topic)} == {one.key for one in others}
    await producer.stop()


async def test_a_topic_of_requests_that_is_deleted_leaves_the_others_answered_and_committed(
    place: Place, admin: AIOKafkaAdminClient
) -> None:
    other = f"{place.responses}.other"
    await admin.create_topics([NewTopic(other, 1, 1)])
    worker, stop = build_worker(place, other), asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    await until(worker.ready, running)
    await place.send(10)
    await admin.delete_topics([place.requests])
    await place.send(20, place.bulk)
    async with asyncio.timeout(60):
        while sum((await place.committed_of(place.bulk)).values()) != 20:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    await until(lambda: any(place.requests in why for why in worker.not_ready()), running)
    stop.set()
    await asyncio.wait_for(running, 40)
