"""The worker without its broker: at the start, and in the middle of work."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as ClientTopicPartition
from aiokafka.errors import KafkaError
from structlog.testing import capture_logs

from streamproc.clock import Clock, SystemClock
from streamproc.kafka.dispatcher import Subscription
from streamproc.kafka.embedded import EmbeddedBroker
from streamproc.kafka.ledger import read_positions
from streamproc.kafka.producer import Producer
from streamproc.kafka.worker import KafkaWorker
from streamproc.messages.lane import Lane
from streamproc.messages.record import ProducerRecord, Record, TopicPartition
from streamproc.settings import Settings, read_settings
from tests.support.kafka_place import CLOCK, Place, until, until_answered, working

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


async def test_what_is_committed_is_not_taken_for_nothing_while_a_broker_comes_back(
    own_kafka: EmbeddedBroker, place: Place
) -> None:
    """A coordinator that has not loaded its groups yet answers without any topic."""
    asked = TopicPartition(place.requests, 0)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=own_kafka.bootstrap_servers,
        group_id=place.settings.group_id,
        enable_auto_commit=False,
    )
    await consumer.start()
    consumer.assign([ClientTopicPartition(*asked)])
    await consumer.commit({ClientTopicPartition(*asked): 7})
    await consumer.stop()
    await asyncio.to_thread(own_kafka.stop)
    found: list[int | None] = []

    async def ask() -> None:
        with suppress(KafkaError, OSError):
            position = (await read_positions(place.settings, [asked]))[asked]
            found.append(None if position is None else position.offset)

    async def ask_until(enough: int) -> None:
        while len(found) < enough:
            await ask()

    async with asyncio.timeout(120):
        await asyncio.gather(
            asyncio.to_thread(own_kafka.start), *(ask_until(200) for _ in range(4))
        )
    assert set(found) == {7}


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


class LeavingBroker:
    """A worker at whose start the broker goes away as soon as one of its clients has connected."""

    def __init__(self, own_kafka: EmbeddedBroker, place: Place, *, before_topics: bool) -> None:
        """before_topics: before topics are looked for; else before the consumer connects"""
        self._broker = own_kafka
        self._place = place
        self._before_topics = before_topics
        self._is_gone = False
        self.producer = _FirstStart(place.settings, CLOCK, self._left_by_the_first)
        self.worker = KafkaWorker(
            place.settings,
            [Subscription(place.requests, Lane.INTERACTIVE, self._answer)],
            clock=CLOCK,
            producer=self.producer,
            needed_topics=[place.responses],
            prepare=self._prepare,
        )

    async def _left_by_the_first(self) -> None:
        if self._before_topics:
            await self._leave()

    async def _prepare(self) -> None:
        if not self._before_topics:
            await self._leave()

    async def _leave(self) -> None:
        if not self._is_gone:
            self._is_gone = True
            await asyncio.to_thread(self._broker.stop)

    async def _answer(self, record: Record) -> None:
        await self.producer.send(ProducerRecord(self._place.responses, record.key, b""))


class _FirstStart(Producer):
    def __init__(
        self, settings: Settings, clock: Clock, connected: Callable[[], Awaitable[None]]
    ) -> None:
        super().__init__(settings, clock)
        self._is_connected = connected

    async def start(self) -> None:
        await super().start()
        await self._is_connected()


def waited(logs: Iterable[Mapping[str, Any]]) -> list[str]:
    """What a worker that waits for Kafka says."""
    return [str(one["error"]) for one in logs if one["event"] == "waiting for Kafka"]


@pytest.mark.parametrize("before_topics", [True, False])
async def test_a_broker_that_leaves_while_a_worker_starts_is_waited_for(
    own_kafka: EmbeddedBroker, place: Place, *, before_topics: bool
) -> None:
    keys = await place.send(20)
    leaving, stop = LeavingBroker(own_kafka, place, before_topics=before_topics), asyncio.Event()
    with capture_logs() as logs:
        running = asyncio.create_task(leaving.worker.run(stop))
        await until(lambda: len(waited(logs)) > 1, running)
        assert waited(logs)[0].startswith(f"no Kafka at {own_kafka.bootstrap_servers}")
        assert not leaving.worker.ready()
        await asyncio.to_thread(own_kafka.start)
        await until(leaving.worker.ready, running, 60)
    answers = await until_answered(place, keys)
    stop.set()
    await running
    assert answers == Counter(keys)


async def test_a_worker_that_waits_for_its_consumer_can_be_stopped(
    own_kafka: EmbeddedBroker, place: Place
) -> None:
    leaving, stop = LeavingBroker(own_kafka, place, before_topics=False), asyncio.Event()
    before = threading.active_count()
    with capture_logs() as logs:
        running = asyncio.create_task(leaving.worker.run(stop))
        await until(lambda: len(waited(logs)) > 1, running)
        stop.set()
        await asyncio.wait_for(running, 30)
    await until(lambda: threading.active_count() <= before + 1)
