"""Requests that producers send in transactions: those committed are answered, and no lag stays."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka import AIOKafkaProducer

from streamproc.kafka.topic_reader import read_topic
from tests.support.kafka_place import Place, echo, until_answered, working

pytestmark = pytest.mark.kafka


async def test_only_committed_requests_are_answered_and_their_markers_leave_no_lag(
    kafka: str,
) -> None:
    place = Place(kafka, topic_partitions=3)
    await place.make()
    name = place.settings.group_id
    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=name)
    still_open = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=f"{name}-open")
    async with producer, still_open, working(place, echo(place)):
        async with producer.transaction():
            await producer.send_and_wait(place.requests, b"v", key=b"committed", partition=0)
        for number in (0, 1):
            await producer.begin_transaction()
            await producer.send_and_wait(place.requests, b"v", key=b"aborted", partition=number)
            await producer.abort_transaction()
        await still_open.begin_transaction()
        await still_open.send_and_wait(place.requests, b"v", key=b"open", partition=2)
        await until_answered(place, {b"committed"})
        # A record and a marker each; nothing of what is open.
        wanted = {(place.requests, 0): 4, (place.requests, 1): 2}
        async with asyncio.timeout(20):
            while await place.committed() != wanted:  # noqa: ASYNC110 - Kafka's state
                await asyncio.sleep(0.2)
        assert (await place.answers()).keys() == {b"committed"}
        seen = [record.key async for record in read_topic(place.settings, place.requests)]
        assert seen == [b"committed"]
        await still_open.commit_transaction()
        await until_answered(place, {b"committed", b"open"})
