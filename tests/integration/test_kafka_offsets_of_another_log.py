"""Where a worker begins when the committed offset is of another log, or of records now gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as ClientTopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import OffsetAndMetadata
from structlog.testing import capture_logs

from streamproc.kafka.ledger import read_positions
from streamproc.kafka.producer import Producer
from streamproc.messages.lane import Lane
from streamproc.messages.record import ProducerRecord, Record, TopicPartition
from tests.support.kafka_place import (
    Place,
    echo,
    until,
    until_answered,
    until_committed,
    working,
)

pytestmark = pytest.mark.kafka


@pytest.fixture
async def place(kafka: str) -> Place:
    made = Place(kafka, topic_partitions=2)
    await made.make()
    return made


@pytest.fixture
async def admin(kafka: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await client.start()
    yield client
    await client.close()


async def test_what_lies_below_a_committed_offset_beyond_the_end_is_answered(place: Place) -> None:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=place.settings.kafka_bootstrap_servers,
        group_id=place.settings.group_id,
        enable_auto_commit=False,
    )
    await consumer.start()
    consumer.assign([ClientTopicPartition(place.requests, number) for number in (0, 1)])
    await consumer.commit({ClientTopicPartition(place.requests, number): 90 for number in (0, 1)})
    await consumer.stop()
    keys = await place.send(40)
    with capture_logs() as logs:
        async with working(place, echo(place)):
            await until_answered(place, keys)
            await until_committed(place, 40)
    told = [line for line in logs if line["event"].startswith("offset out of range")]
    assert [line["offset"] for line in told] == [90, 90]


async def test_a_topic_that_is_made_again_under_a_running_worker_is_read_from_its_beginning(
    place: Place, admin: AIOKafkaAdminClient
) -> None:
    go_on = asyncio.Event()

    async def handle(producer: Producer, record: Record) -> None:
        if (record.key or b"").startswith(b"held"):
            await go_on.wait()
        await producer.send(ProducerRecord(place.responses, record.key, record.value))

    settings = place.settings.model_copy(update={"max_in_flight_bytes": 1 << 20})
    async with working(place, handle, settings) as (worker, _, running):
        await until_answered(place, await place.send(40))
        await until_committed(place, 40)
        # While the client holds records that the full lane does not take, it asks for no more of
        # them, and does not learn that the offset it is at was not there for a moment.
        await place.send(120, name="held")
        await until(lambda: worker.is_paused(Lane.INTERACTIVE), running)
        await admin.delete_topics([place.requests])
        await place.make_again(admin)
        # More than there were: the offset that was reached lies in the middle of them.
        keys = await place.send(400, name="again")
        go_on.set()
        await until_answered(place, keys)
        await until_committed(place, 400)


async def test_a_commit_that_came_after_its_topic_was_made_again_hides_no_request_of_it(
    place: Place, admin: AIOKafkaAdminClient
) -> None:
    tps = [TopicPartition(place.requests, number) for number in (0, 1)]
    async with working(place, echo(place)):
        await until_answered(place, await place.send(40))
        await until_committed(place, 40)
    left = await read_positions(place.settings, tps)
    await admin.delete_topics([place.requests])
    await place.make_again(admin)
    keys = await place.send(400, name="again")
    async with AIOKafkaConsumer(
        bootstrap_servers=place.settings.kafka_bootstrap_servers,
        group_id=place.settings.group_id,
        enable_auto_commit=False,
    ) as late:
        offsets = {
            ClientTopicPartition(tp.topic, tp.topic_partition): OffsetAndMetadata(*at)
            for tp, at in left.items()
            if at is not None
        }
        late.assign([*offsets])
        await late.commit(offsets)
    with capture_logs() as logs:
        async with working(place, echo(place)):
            await until_answered(place, keys)
            await until_committed(place, 400)
    told = [line["topic"] for line in logs if line["event"].startswith("topic was recreated")]
    assert told == [place.requests]
    async with working(place, echo(place)):
        more = await place.send(10, name="more")
        answers = await until_answered(place, more)
    assert {answers[key] for key in keys | more} == {1}


async def test_requests_that_retention_took_are_named_and_the_rest_is_answered(
    place: Place, admin: AIOKafkaAdminClient
) -> None:
    async with working(place, echo(place)):
        await until_answered(place, await place.send(20))
        await until_committed(place, 20)
    await place.send(40, name="gone")
    ends = {ClientTopicPartition(place.requests, n): RecordsToDelete(-1) for n in (0, 1)}
    await admin.delete_records(ends)
    keys = await place.send(20, name="kept")
    with capture_logs() as logs:
        async with working(place, echo(place)):
            answers = await until_answered(place, keys)
            await until_committed(place, 80)
    assert not any(key.startswith(b"gone") for key in answers)
    told = [line for line in logs if line["event"].startswith("requests deleted by retention")]
    assert len(told) == 2
