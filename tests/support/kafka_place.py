"""Topics of a test's own, a worker on them, and what to wait for."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import TopicPartition as ClientTopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streamproc.clock import SystemClock
from streamproc.kafka.dispatcher import Subscription
from streamproc.kafka.producer import Producer
from streamproc.kafka.topic_reader import read_topic
from streamproc.kafka.worker import KafkaWorker
from streamproc.messages.lane import Lane
from streamproc.messages.record import ProducerRecord, Record
from streamproc.settings import Settings

CLOCK = SystemClock()
Handle = Callable[[Producer, Record], Awaitable[None]]
Working = tuple[KafkaWorker, asyncio.Event, asyncio.Task[None]]


class Place:
    """Topics of one test: an interactive and a bulk one for requests, one for responses."""

    def __init__(
        self, bootstrap_servers: str, topic_partitions: int, name: str | None = None
    ) -> None:
        """name: of a place that another process has made"""
        self.name = name = name or uuid4().hex[:8]
        self.requests, self.bulk, self.responses = f"{name}.rq", f"{name}.bk", f"{name}.rs"
        self.topic_partitions = topic_partitions
        self.settings = Settings(
            kafka_bootstrap_servers=bootstrap_servers,
            group_id=f"{name}.group",
            session_timeout_s=6,
            drain_timeout_s=5,
        )

    async def make(self, **config: dict[str, str]) -> None:
        """Make the topics. config: settings in Kafka's names, by kind of topic."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.settings.kafka_bootstrap_servers)
        await admin.start()
        await admin.create_topics(
            [
                NewTopic(
                    getattr(self, kind), self.topic_partitions, 1, topic_configs=config.get(kind)
                )
                for kind in ("requests", "bulk", "responses")
            ]
        )
        await admin.close()

    async def make_again(self, admin: AIOKafkaAdminClient) -> None:
        """The topic of requests, after it was deleted: at once, so that clients may not notice."""
        async with asyncio.timeout(20):
            while True:
                answer = await admin.create_topics(
                    [NewTopic(self.requests, self.topic_partitions, 1)]
                )
                if not answer.topic_errors[0][1]:
                    return
                await asyncio.sleep(0.05)

    async def send(
        self, count: int, topic: str | None = None, size_bytes: int = 0, name: str | None = None
    ) -> set[bytes]:
        producer = Producer(self.settings, CLOCK)
        await producer.start()
        keys = [f"{name or topic or 'i'}-{number}".encode() for number in range(count)]
        value = b"x" * size_bytes
        await asyncio.gather(
            *(producer.send(ProducerRecord(topic or self.requests, k, value)) for k in keys)
        )
        await producer.stop()
        return set(keys)

    async def send_batch(self, data: bytes, topic_partition: int = 0) -> int:
        """Store a batch of records as it is; the offset of its first record."""
        async with AIOKafkaProducer(
            bootstrap_servers=self.settings.kafka_bootstrap_servers
        ) as producer:
            built = producer.create_batch()
            built.append(timestamp=None, key=None, value=b"x", headers=[])
            built.close()
            built._buffer = bytearray(data)
            stored = await producer.send_batch(built, self.requests, partition=topic_partition)
            return int((await stored).offset)

    async def answers(self) -> Counter[bytes]:
        return Counter([r.key or b"" async for r in read_topic(self.settings, self.responses)])

    async def committed(self) -> dict[tuple[str, int], int]:
        return await self.committed_of(self.requests, self.bulk)

    async def committed_of(self, *topics: str) -> dict[tuple[str, int], int]:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.settings.kafka_bootstrap_servers,
            group_id=self.settings.group_id,
            enable_auto_commit=False,
        )
        await consumer.start()
        found = {}
        for topic in topics:
            for number in range(self.topic_partitions):
                offset = await consumer.committed(ClientTopicPartition(topic, number))
                if offset is not None:
                    found[topic, number] = offset
        await consumer.stop()
        return found


@asynccontextmanager
async def working(
    place: Place,
    handle: Handle,
    settings: Settings | None = None,
) -> AsyncIterator[Working]:
    """A worker of the topics of requests, as `run` has it."""
    producer = Producer(settings or place.settings, CLOCK)

    async def handler(record: Record) -> None:
        await handle(producer, record)

    routes = [
        Subscription(place.requests, Lane.INTERACTIVE, handler),
        Subscription(place.bulk, Lane.BULK, handler),
    ]
    worker = KafkaWorker(settings or place.settings, routes, clock=CLOCK, producer=producer)
    async with run(worker) as running:
        yield running


@asynccontextmanager
async def run(worker: KafkaWorker) -> AsyncIterator[Working]:
    """A worker once it has its topic-partitions; stopped at the end."""
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


async def until_committed(place: Place, total: int) -> None:
    """Until so many requests of both topics are committed."""
    async with asyncio.timeout(30):
        while sum((await place.committed()).values()) != total:  # noqa: ASYNC110 - Kafka's state
            await asyncio.sleep(0.2)


def echo(place: Place) -> Handle:
    async def handle(producer: Producer, record: Record) -> None:
        await producer.send(ProducerRecord(place.responses, record.key, record.value))

    return handle


def slow(place: Place) -> Handle:
    async def handle(producer: Producer, record: Record) -> None:
        await asyncio.sleep(0.05)
        await producer.send(ProducerRecord(place.responses, record.key, b""))

    return handle
