"""Plain Kafka, without any of streamproc's own clients: what a test sends and reads by."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from tests.support.task_topics import topics_of

TEXT_CLASSIFICATION = "text-classification"
REQUESTS, BULK = topics_of(TEXT_CLASSIFICATION).lanes
RESPONSES, DEAD_LETTERS = topics_of(TEXT_CLASSIFICATION).outcomes

Position = tuple[str, int, int]
"""Topic, topic-partition, offset."""
Offsets = dict[TopicPartition, int]
Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Sent:
    """A record to send."""

    value: bytes | None
    topic: str = REQUESTS
    headers: Headers = ()
    key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as it lies in a topic."""

    position: Position
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]
    timestamp_ms: int = 0

    @property
    def body(self) -> dict[str, Any]:
        """Its JSON object."""
        return dict(orjson.loads(self.value or b""))

    @property
    def origin(self) -> Position:
        """Where the request or event lies that this was made of, or is the dead letter of."""
        kind = "source" if "streamproc-source-topic" in self.headers else "request"
        topic, partition, offset = (
            self.headers[f"streamproc-{kind}-{name}"] for name in ("topic", "partition", "offset")
        )
        return topic.decode(), int(partition), int(offset)


async def send(bootstrap_servers: str, records: Iterable[Sent]) -> list[Position]:
    """Send records; returns where each lies, in order."""
    async with producing(bootstrap_servers) as producer:
        return await send_all(producer, records)


@asynccontextmanager
async def producing(bootstrap_servers: str) -> AsyncIterator[AIOKafkaProducer]:
    """A producer that takes large records, and outlasts a broker that is away for a minute."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers,
        enable_idempotence=True,
        linger_ms=5,
        max_request_size=150 << 20,
        request_timeout_ms=120_000,
    )
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def send_all(producer: AIOKafkaProducer, records: Iterable[Sent]) -> list[Position]:
    """Send records through `producer`; returns where each lies, in order."""
    waiting = []
    for record in records:
        headers = list(record.headers)
        if record.key is None and record.value is None:
            # aiokafka's send refuses what Kafka allows: neither key nor value.
            batch = producer.create_batch()
            batch.append(timestamp=None, key=None, value=None, headers=headers)
            batch.close()
            waiting.append(await producer.send_batch(batch, record.topic, partition=0))
        else:
            waiting.append(
                await producer.send(
                    record.topic, key=record.key, value=record.value, headers=headers
                )
            )
    stored = [await future for future in waiting]
    return [(one.topic, one.partition, one.offset) for one in stored]


async def create_topic(bootstrap_servers: str, name: str, topic_partitions: int) -> None:
    """Make a topic as somebody else would have."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, topic_partitions, 1)])
    finally:
        await admin.close()


async def end_offsets(bootstrap_servers: str, *topics: str) -> Offsets:
    """Where the next record of each topic-partition will lie."""
    async with reader(bootstrap_servers, topics) as consumer:
        return dict(await consumer.end_offsets(consumer.assignment()))


async def read_all(
    bootstrap_servers: str, topics: Iterable[str], start: Mapping[TopicPartition, int] | None = None
) -> list[Stored]:
    """Every record from `start` (the beginning where it says nothing) to the end as it is now.

    The end is asked for once, before reading; a reader that stops where nothing comes for a while
    would take a slow broker for the end.
    """
    return [record async for record in each_record(bootstrap_servers, topics, start)]


async def each_record(
    bootstrap_servers: str, topics: Iterable[str], start: Mapping[TopicPartition, int] | None = None
) -> AsyncIterator[Stored]:
    """The same one by one, where memory may have no room for all of them."""
    async with reader(bootstrap_servers, topics) as consumer:
        left = {}
        for tp, end in (await consumer.end_offsets(consumer.assignment())).items():
            first = (start or {}).get(tp, 0)
            consumer.seek(tp, first)
            if first < end:
                left[tp] = end
        while left:
            batches = await consumer.getmany(*left, timeout_ms=1000)
            for tp, records in batches.items():
                for record in records:
                    if record.offset < left[tp]:
                        yield stored(record)
            for tp in list(left):
                if await consumer.position(tp) >= left[tp]:
                    del left[tp]


# A broker that is too busy to be heard by its controller is out of the metadata for a moment.
@retry(
    retry=retry_if_exception_type(KafkaError),
    stop=stop_after_delay(60),
    wait=wait_fixed(0.5),
    reraise=True,
)
async def committed_positions(
    bootstrap_servers: str, group: str
) -> dict[TopicPartition, OffsetAndMetadata]:
    """What a group has committed, with what is kept beside it."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets(group)
        return {tp: stored for tp, stored in found.items() if stored.offset >= 0}
    finally:
        await admin.close()


async def committed(bootstrap_servers: str, group: str) -> Offsets:
    """What a group has committed."""
    found = await committed_positions(bootstrap_servers, group)
    return {tp: stored.offset for tp, stored in found.items()}


async def commit_ends(bootstrap_servers: str, group: str, *topics: str) -> Offsets:
    """Let a new group begin with what is sent to these from now on; returns where that is."""
    ends = await end_offsets(bootstrap_servers, *topics)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers, group_id=group, enable_auto_commit=False
    )
    await consumer.start()
    try:
        consumer.assign(list(ends))
        await consumer.commit(ends)
    finally:
        await consumer.stop()
    return ends


async def wait_until_committed(
    bootstrap_servers: str, group: str, positions: Iterable[Position], quiet_s: float = 60
) -> None:
    """Returns when the group has passed all positions.

    Raises TimeoutError when its commits have not moved for `quiet_s`.
    """
    wanted: Offsets = {}
    for topic, partition, offset in positions:
        tp = TopicPartition(topic, partition)
        wanted[tp] = max(wanted.get(tp, 0), offset + 1)
    last, moved_at = -1, time.monotonic()
    while True:
        found = await committed(bootstrap_servers, group)
        behind = {
            tp: end - found.get(tp, 0) for tp, end in wanted.items() if found.get(tp, 0) < end
        }
        if not behind:
            return
        if sum(found.values()) != last:
            last, moved_at = sum(found.values()), time.monotonic()
        if time.monotonic() - moved_at > quiet_s:
            raise TimeoutError(f"group {group} stands still, behind by {behind}")
        await asyncio.sleep(0.2)


@asynccontextmanager
async def reader(bootstrap_servers: str, topics: Iterable[str]) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of all topic-partitions without a group: it disturbs nobody's assignment."""
    consumer = AIOKafkaConsumer(
        *topics,
        bootstrap_servers=bootstrap_servers,
        enable_auto_commit=False,
        # What consumers are asked to set where answers come in transactions.
        isolation_level="read_committed",
        max_partition_fetch_bytes=8 << 20,
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


def stored(record: Any) -> Stored:
    """A record as aiokafka has read it."""
    return Stored(
        (record.topic, record.partition, record.offset),
        record.key,
        record.value,
        dict(record.headers),
        record.timestamp,
    )
