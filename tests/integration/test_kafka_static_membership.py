"""Workers with a name that outlives their restarts: nobody else's topic-partitions move."""

from __future__ import annotations

import asyncio

import pytest

from streamproc.errors import OperatorError
from streamproc.kafka.dispatcher import Subscription
from streamproc.kafka.producer import Producer
from streamproc.kafka.worker import KafkaWorker
from streamproc.messages.lane import Lane
from streamproc.messages.record import Record
from streamproc.settings import Settings
from tests.support.kafka_place import CLOCK, Place, echo, until, until_answered, working

pytestmark = pytest.mark.kafka


@pytest.fixture
async def place(kafka: str) -> Place:
    made = Place(kafka, topic_partitions=4)
    made.settings = made.settings.model_copy(update={"session_timeout_s": 20})
    await made.make()
    return made


def named(place: Place, name: str) -> Settings:
    return place.settings.model_copy(update={"group_instance_id": name})


async def test_a_restart_within_the_session_moves_nothing_and_loses_nothing(place: Place) -> None:
    handle = echo(place)
    async with working(place, handle, named(place, "a")) as (stays, _, _):
        async with working(place, handle, named(place, "b")):
            await until(lambda: len(stays.assigned) == 4)
            kept = stays.assigned
            await until_answered(place, keys := await place.send(20))
        # While "b" is away its requests wait for it, and "a" is not asked to join again.
        keys |= await place.send(20, name="later")
        await asyncio.sleep(2)
        assert stays.assigned == kept
        async with working(place, handle, named(place, "b")) as (again, _, _):
            assert stays.assigned == kept
            assert len(again.assigned) == 4
            assert not kept & again.assigned
            answers = await until_answered(place, keys)
    assert set(answers.values()) == {1}


async def test_two_workers_under_one_name_are_told_so_and_one_ends(place: Place) -> None:
    def build_worker() -> KafkaWorker:
        settings = named(place, "a")
        producer = Producer(settings, CLOCK)
        subscription = Subscription(place.requests, Lane.INTERACTIVE, handle)
        return KafkaWorker(settings, [subscription], clock=CLOCK, producer=producer)

    async def handle(record: Record) -> None:
        pass

    running = [asyncio.create_task(build_worker().run(asyncio.Event())) for _ in range(2)]
    ended, others = await asyncio.wait(running, timeout=60, return_when=asyncio.FIRST_COMPLETED)
    for task in others:
        task.cancel()
    await asyncio.wait(others)

    with pytest.raises(OperatorError, match="same STREAMPROC_GROUP_INSTANCE_ID: each needs its"):
        next(iter(ended)).result()
