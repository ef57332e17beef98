"""The worker against a real Kafka: nothing lost, no commit too early, a drained end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as ClientTopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streamproc.clock import SystemClock
from streamproc.errors import WorkerFault
from streamproc.kafka.producer import Producer
from streamproc.kafka.reading import read_topic
from streamproc.kafka.worker import KafkaWorker, Route
from streamproc.messages.lane import Lane
from streamproc.messages.record import Outgoing, Record
from streamproc.settings import Settings

pytestmark = pytest.mark.kafka
CLOCK = SystemClock()


class Place:
    """Topics of one test: an interactive and a bulk one for requests, one for responses."""

    def __init__(self, bootstrap_servers: str, topic_partitions: int) -> None:
        name = uuid4().hex[:8]
        self.requests, self.bulk, self.responses = f"{name}.rq", f"{name}.bk", f"{name}.rs"
        self.topic_partitions = topic_partitions
        self.settings = Settings(
            kafka_bootstrap_servers=bootstrap_servers,
            group_id=f"{name}.group",
            session_timeout_s=6,
            drain_timeout_s=5,
        )

    async def make(self) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.settings.kafka_bootstrap_servers)
        await admin.start()
        names = (self.requests, self.bulk, self.responses)
        await admin.create_topics([NewTopic(n, self.topic_partitions, 1) for n in names])
        await admin.close()

    async def send(self, count: int, topic: str | None = None, size_bytes: int = 0) -> set[bytes]:
        producer = Producer(self.settings, CLOCK)
        await producer.start()
        keys = [f"{topic or 'i'}-{number}".encode() for number in range(count)]
        value = b"x" * size_bytes
        await asyncio.gather(
            *(producer.send(Outgoing(topic or self.requests, k, value)) for k in keys)
        )
        await producer.stop()
        return set(keys)

    async def answers(self) -> Counter[bytes]:
        return Counter([r.key or b"" async for r in read_topic(self.settings, self.responses)])

    async def committed(self) -> dict[tuple[str, int], int]:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.settings.kafka_bootstrap_servers,
            group_id=self.settings.group_id,
            enable_auto_commit=False,
        )
        await consumer.start()
        found = {}
        for topic in (self.requests, self.bulk):
            for number in range(self.topic_partitions):
                offset = await consumer.committed(ClientTopicPartition(topic, number))
                if offset is not None:
                    found[topic, number] = offset
        await consumer.stop()
        return found


@pytest.fixture
async def place(kafka: str) -> Place:
    made = Place(kafka, topic_partitions=4)
    await made.make()
    return made


@asynccontextmanager
async def working(
    place: Place,
    handle: Callable[[Producer, Record], Awaitable[None]],
    settings: Settings | None = None,
) -> Any:
    producer = Producer(settings or place.settings, CLOCK)

    async def handler(record: Record) -> None:
        await handle(producer, record)

    routes = [
        Route(place.requests, Lane.INTERACTIVE, handler),
        Route(place.bulk, Lane.BULK, handler),
    ]
    worker = KafkaWorker(settings or place.settings, routes, clock=CLOCK, producer=producer)
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    try:
        await until(worker.ready, running)
        yield worker, stop, running
    finally:
        stop.set()
        await asyncio.wait({running}, timeout=60)


async def until(
    true: Callable[[], bool], running: asyncio.Task[None] | None = None, within_s: float = 40
) -> None:
    async with asyncio.timeout(within_s):
        while not true():
            if running is not None and running.done():
                running.result()
            await asyncio.sleep(0.05)


async def until_answered(place: Place, keys: set[bytes], within_s: float = 60) -> Counter[bytes]:
    async with asyncio.timeout(within_s):
        while not keys <= (answers := await place.answers()).keys():  # noqa: ASYNC110 - Kafka's state
            await asyncio.sleep(0.3)
    return answers


def echo(place: Place) -> Callable[[Producer, Record], Awaitable[None]]:
    async def handle(producer: Producer, record: Record) -> None:
        await producer.send(Outgoing(place.responses, record.key, record.value))

    return handle


async def test_every_request_of_both_lanes_is_answered_once_and_committed(place: Place) -> None:
    keys = await place.send(300) | await place.send(200, place.bulk)
    async with working(place, echo(place)) as (_, stop, running):
        answers = await until_answered(place, keys)
        stop.set()
        await running
    assert answers == Counter(keys)
    assert sum((await place.committed()).values()) == 500


async def test_a_tombstone_without_a_key_reaches_the_handler(place: Place) -> None:
    producer = Producer(place.settings, CLOCK)
    await producer.start()
    await producer.send(Outgoing(place.requests, None, None, (("h", b"1"),)))
    await producer.stop()
    seen: list[Record] = []

    async def handle(_: Producer, record: Record) -> None:
        seen.append(record)

    async with working(place, handle) as (_, _stop, running):
        await until(lambda: len(seen) == 1, running)
    assert (seen[0].key, seen[0].value, seen[0].headers) == (None, None, (("h", b"1"),))


async def test_stopping_commits_exactly_the_finished_prefix(place: Place) -> None:
    place.settings = place.settings.model_copy(update={"drain_timeout_s": 0.5})
    await place.send(100)
    seen: dict[int, list[int]] = {}

    async def handle(producer: Producer, record: Record) -> None:
        seen.setdefault(record.topic_partition, []).append(record.offset)
        if record.offset == 7:
            await asyncio.Event().wait()
        await producer.send(Outgoing(place.responses, record.key, record.value))

    async with working(place, handle) as (worker, stop, running):
        await until(lambda: sum(map(len, seen.values())) == 100, running)
        await until(lambda: worker.in_flight == 4, running)
        stop.set()
        await running
    assert await place.committed() == {(place.requests, number): 7 for number in range(4)}


async def test_what_a_stopped_worker_left_is_answered_by_the_next(place: Place) -> None:
    place.settings = place.settings.model_copy(update={"drain_timeout_s": 0.2})
    keys = await place.send(200)
    taken = 0

    async def slow_for_some(producer: Producer, record: Record) -> None:
        nonlocal taken
        taken += 1
        if record.offset % 3 == 0:
            await asyncio.Event().wait()
        await producer.send(Outgoing(place.responses, record.key, record.value))

    async with working(place, slow_for_some) as (_, stop, running):
        await until(lambda: taken == 200, running)
        stop.set()
        await running
    async with working(place, echo(place)):
        answers = await until_answered(place, keys)
    assert answers.keys() == keys


async def test_a_full_lane_pauses_and_nothing_is_dropped(place: Place) -> None:
    settings = place.settings.model_copy(update={"max_in_flight_bytes": 1 << 20})
    keys = await place.send(1500, place.bulk, size_bytes=2000)
    most, paused = 0, False

    async with working(place, slow(place), settings) as (worker, _, _running):
        done = asyncio.create_task(until_answered(place, keys, 100))
        while not done.done():
            most = max(most, worker.in_flight_bytes(Lane.BULK))
            paused = paused or worker.is_paused(Lane.BULK)
            assert not worker.is_paused(Lane.INTERACTIVE)
            await asyncio.sleep(0.01)
        assert (await done) == Counter(keys)
        assert worker.in_flight_bytes(Lane.BULK) == 0
    # 57 requests fill the budget; what Faust had fetched by then still comes.
    assert paused
    assert most < 1000 * (2000 + 17 * 1024)


def slow(place: Place) -> Callable[[Producer, Record], Awaitable[None]]:
    async def handle(producer: Producer, record: Record) -> None:
        await asyncio.sleep(0.05)
        await producer.send(Outgoing(place.responses, record.key, b""))

    return handle


async def test_a_second_worker_joining_and_leaving_loses_nothing(place: Place) -> None:
    keys: set[bytes] = set()
    async with working(place, slow(place)) as (first, _, _running):
        sending = asyncio.create_task(place.send(1500))
        async with working(place, slow(place)) as (second, _, _running):
            keys |= await sending
            await until(lambda: len(second._tracker.assigned()) == 4)
            await until(lambda: len(first._tracker.assigned()) == 4)
            keys |= await place.send(500, place.bulk)
        answers = await until_answered(place, keys, 100)
    assert answers.keys() == keys


async def test_a_handler_that_keeps_raising_ends_the_worker_and_keeps_the_offset(
    place: Place,
) -> None:
    await place.send(40)

    async def handle(producer: Producer, record: Record) -> None:
        if record.offset == 3:
            raise RuntimeError("a bug")
        await producer.send(Outgoing(place.responses, record.key, record.value))

    async with working(place, handle) as (worker, _, running):
        with pytest.raises(WorkerFault, match="can't be handled"):
            await asyncio.wait_for(running, 60)
        assert worker.handler_errors >= 4
    assert set((await place.committed()).values()) == {3}
