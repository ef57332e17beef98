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


@pytest.mark.parametrize(
    ("apart", "asked"),
    [
        pytest.param(False, False, id="at once"),
        pytest.param(True, False, id="one after the other"),
        pytest.param(True, True, id="one after the other, with requests to commit"),
    ],
)
async def test_two_workers_under_one_name_are_told_so_and_one_ends(
    place: Place, apart: bool, asked: bool
) -> None:
    running: list[asyncio.Task[None]] = []
    ends, asked_enough = asyncio.Event(), asyncio.Event()
    keys: set[bytes] = set()

    def start() -> KafkaWorker:
        settings = named(place, "a")
        producer = Producer(settings, CLOCK)

        async def handle(record: Record) -> None:
            await echo(place)(producer, record)

        subscription = Subscription(place.requests, Lane.INTERACTIVE, handle)
        worker = KafkaWorker(settings, [subscription], clock=CLOCK, producer=producer)
        running.append(asyncio.create_task(worker.run(ends)))
        return worker

    async def ask() -> None:
        while asked and not asked_enough.is_set():
            keys.update(await place.send(5, name=f"{len(keys)}"))
            await asyncio.sleep(0.1)

    first = start()
    if apart:
        await until(lambda: len(first.assigned) == 4)
    start()
    asking = asyncio.create_task(ask())
    ended, others = await asyncio.wait(running, timeout=60, return_when=asyncio.FIRST_COMPLETED)
    asked_enough.set()
    await asking
    # The other one goes on with all of it.
    keys |= await place.send(20, name="later")
    answers = await until_answered(place, keys)
    ends.set()
    await asyncio.gather(*others)

    assert len(others) == 1
    with pytest.raises(OperatorError, match="same STREAMPROC_GROUP_INSTANCE_ID: each needs its"):
        await ended.pop()
    assert set(answers) >= keys
