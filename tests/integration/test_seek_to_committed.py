"""Records that were fetched and let go before the seek are read again, wherever it goes."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as ClientTopicPartition

from streamproc.kafka.consumer_state import ConsumerState
from streamproc.kafka.consumer_thread import LaneThread
from streamproc.kafka.private_api import assignment_of
from streamproc.kafka.progress import ProgressNotes
from streamproc.kafka.seek_to_committed import Committed, SeekToCommitted
from tests.support.kafka_place import Place

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


async def test_what_a_fetch_brings_while_the_flow_rests_is_fetched_again(kafka: str) -> None:
    place = Place(kafka, topic_partitions=1)
    await place.make()
    thread: Any = object.__new__(LaneThread)
    thread._interactive_topics, thread._remade = frozenset(), None
    thread._progress, thread._seek = ProgressNotes(ConsumerState()), SeekToCommitted()
    thread.consumer = SimpleNamespace(flow_active=True)
    async with consumer_of(place) as consumer:
        await thread.fetch(consumer, consumer.assignment(), 0.2, 100)
        waiting = asyncio.create_task(thread.fetch(consumer, consumer.assignment(), 30.0, 100))
        await asyncio.sleep(0)
        # As where topic-partitions are assigned anew: Faust drops what comes until it has sought.
        thread.consumer.flow_active = False
        await place.send(10)
        assert await waiting == {}
        thread.consumer.flow_active = True
        offsets: list[int] = []
        async with asyncio.timeout(30):
            while len(offsets) < 10:
                for batch in (
                    await thread.fetch(consumer, consumer.assignment(), 1.0, 100)
                ).values():
                    offsets += [record.offset for record in batch]
    assert offsets == list(range(10))
