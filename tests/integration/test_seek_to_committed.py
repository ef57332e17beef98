"""Records that were fetched and let go before the seek are read again, wherever it goes."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as ClientTopicPartition
from structlog.testing import capture_logs

from streamproc.kafka import faust_consumer
from streamproc.kafka.faust_consumer import LaneConsumer
from streamproc.kafka.private_api import assignment_of
from streamproc.kafka.seek_to_committed import Committed, SeekToCommitted
from tests.support.kafka_place import Place, echo, until_answered, working

pytestmark = pytest.mark.kafka


async def read_all(consumer: AIOKafkaConsumer, seek: SeekToCommitted, count: int) -> list[int]:
    offsets: list[int] = []
    async with asyncio.timeout(30):
        while len(offsets) < count:
            fetched = await consumer.getmany(timeout_ms=200)
            seek.note(consumer, fetched)
            for batch in fetched.values():
                offsets += [record.offset for record in batch]
    return offsets


def consumer_of(place: Place) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        place.requests,
        bootstrap_servers=place.settings.kafka_bootstrap_servers,
        group_id=place.settings.group_id,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )


@pytest.mark.parametrize("committed", [None, 0, 7])
async def test_what_was_fetched_and_let_go_is_read_again(kafka: str, committed: int | None) -> None:
    place = Place(kafka, topic_partitions=1)
    await place.make()
    await place.send(10)
    tp, seek = ClientTopicPartition(place.requests, 0), SeekToCommitted()
    async with consumer_of(place) as consumer:
        assert await read_all(consumer, seek, 10) == list(range(10))
        if committed is not None:
            await consumer.commit({tp: committed})
        begun: list[Committed] = []
        assert await seek.seek(consumer, begun.append) == {tp: committed}
        assert begun == [{tp: committed}]
        rest = list(range(committed or 0, 10))
        assert await read_all(consumer, seek, len(rest)) == rest


async def test_a_group_that_was_joined_again_meanwhile_is_left_where_it_is(kafka: str) -> None:
    place = Place(kafka, topic_partitions=1)
    await place.make()
    await place.send(10)
    seek = SeekToCommitted()
    async with consumer_of(place) as consumer:
        await read_all(consumer, seek, 10)
        tp = ClientTopicPartition(place.requests, 0)
        committed = consumer.committed

        async def joins_again(topic_partition: Any) -> int | None:
            offset: int | None = await committed(topic_partition)
            consumer._subscription.assign_from_subscribed([tp])
            return offset

        consumer.committed = joins_again
        begun: list[Committed] = []
        before = assignment_of(consumer)
        await seek.seek(consumer, begun.append)
        assert assignment_of(consumer) is not before
        assert begun == []


async def test_records_that_come_after_the_seek_and_before_the_flow_are_answered(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, keys = Place(kafka, topic_partitions=4), set[bytes]()
    await place.make()
    perform_seek, seeks = LaneConsumer.perform_seek, 0

    async def seek_and_dwell(consumer: LaneConsumer) -> None:
        nonlocal seeks
        seeks += 1
        await perform_seek(consumer)
        # A poll that began before the assignment may still wait for records.
        keys.update(await place.send(40, name=f"after-seek-{seeks}"))
        await asyncio.sleep(0.3)

    monkeypatch.setattr(LaneConsumer, "perform_seek", seek_and_dwell)
    async with working(place, echo(place)):
        keys |= await place.send(40)
        await until_answered(place, keys)
        async with working(place, echo(place)):
            keys |= await place.send(40, name="both")
            await until_answered(place, keys)
        await until_answered(place, keys)
    assert seeks >= 2


async def test_a_poll_that_outlives_its_assignment_loses_nothing(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(kafka, topic_partitions=4)
    await place.make()
    poll = LaneConsumer.poll

    async def poll_for_long(consumer: LaneConsumer, timeout: float) -> Any:  # noqa: ASYNC109
        return await poll(consumer, max(timeout, 30))

    monkeypatch.setattr(LaneConsumer, "poll", poll_for_long)
    monkeypatch.setattr(faust_consumer, "IDLE_POLL_TIMEOUT_S", 30)
    with capture_logs() as logs:
        async with working(place, echo(place)):
            keys = await place.send(40)
            await until_answered(place, keys)
            async with working(place, echo(place)):
                keys |= await place.send(40, name="both")
                await until_answered(place, keys)
            keys |= await place.send(40, name="alone")
            await until_answered(place, keys)
    assert not [one for one in logs if "lost on their way" in one["event"]]


async def test_records_that_are_let_go_of_on_their_way_are_read_again(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, polls = Place(kafka, topic_partitions=1), 0
    await place.make()
    takes = LaneConsumer.takes

    def takes_all_but_one(consumer: LaneConsumer, *polled: Any) -> bool:
        nonlocal polls
        polls += 1
        return takes(consumer, *polled) and polls != 3

    monkeypatch.setattr(LaneConsumer, "takes", takes_all_but_one)
    async with working(place, echo(place)):
        keys = await place.send(1000)
        assert await until_answered(place, keys) >= Counter(keys)
    assert polls > 4
