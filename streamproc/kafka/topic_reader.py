"""Reading a topic as it stands: from an offset to the end offsets of the moment it began."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as ClientTopicPartition
from aiokafka.errors import KafkaError

from streamproc.errors import TopicsError
from streamproc.kafka.background import own_cancellation_only
from streamproc.kafka.private_api import client_of
from streamproc.kafka.record_batches import read_every_record
from streamproc.kafka.refusals import no_kafka
from streamproc.kafka.security import connection_options
from streamproc.messages.record import Record
from streamproc.settings import Settings

QUIET_POLLS: Final = 20


@asynccontextmanager
async def reader(
    settings: Settings, fetch_max_wait_ms: int = 100
) -> AsyncIterator[AIOKafkaConsumer]:
    """A started consumer without a group: it commits nothing and disturbs nobody.

    fetch_max_wait_ms: for how long a broker holds back its answer where there is nothing new
    Raises NoKafka, or KafkaRefused, when no broker answers: on entry, and later.
    """
    read_every_record()
    consumer = AIOKafkaConsumer(
        **connection_options(settings),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        fetch_max_wait_ms=fetch_max_wait_ms,
    )
    try:
        await consumer.start()
        yield consumer
    except KafkaError as error:
        raise await no_kafka(settings, error) from None
    finally:
        await _stop(consumer)


async def _stop(consumer: AIOKafkaConsumer) -> None:
    """Close it with its connections.

    Where a fetch is waiting to be tried again aiokafka raises the CancelledError that it has ended
    the fetch by, as if somebody had cancelled whoever closes, and leaves its connections open.
    """
    try:
        with own_cancellation_only():
            await consumer.stop()
    finally:
        await client_of(consumer).close()


async def topic_partitions_of(consumer: AIOKafkaConsumer, topic: str) -> list[ClientTopicPartition]:
    """All topic-partitions of a topic; raises TopicsError when it does not exist."""
    if topic not in await consumer.topics():
        raise TopicsError(
            f"topic {topic} does not exist; `streamproc topics apply` creates it. Or this user may "
            "not read it: then an ACL is missing"
        )
    # A consumer knows the topic-partitions of topics it is assigned; asking an offset waits for it.
    first = ClientTopicPartition(topic, 0)
    consumer.assign([first])
    await consumer.end_offsets([first])
    return [
        ClientTopicPartition(topic, number)
        for number in sorted(consumer.partitions_for_topic(topic) or ())
    ]


async def held(settings: Settings, topics: Iterable[str]) -> dict[str, int]:
    """How many offsets each topic holds; 0 for one that does not exist."""
    async with reader(settings) as consumer:
        there = await consumer.topics()
        counts = dict.fromkeys(topics, 0)
        tps = [
            tp
            for topic in counts.keys() & there
            for tp in await topic_partitions_of(consumer, topic)
        ]
        if tps:
            firsts = await consumer.beginning_offsets(tps)
            ends = await consumer.end_offsets(tps)
            for tp in tps:
                counts[tp.topic] += ends[tp] - firsts[tp]
    return counts


async def newest_starts(settings: Settings, topic: str, most: int) -> tuple[int, dict[int, int]]:
    """How many offsets a topic holds, and where to begin to read about the last `most` of them."""
    async with reader(settings) as consumer:
        tps = await topic_partitions_of(consumer, topic)
        firsts = await consumer.beginning_offsets(tps)
        ends = await consumer.end_offsets(tps)
    each = -(-most // len(tps))
    starts = {tp.partition: max(firsts[tp], ends[tp] - each) for tp in tps}
    return sum(ends[tp] - firsts[tp] for tp in tps), starts


async def starts_at(settings: Settings, topic: str, time_ms: int) -> dict[int, int]:
    """Where to begin to read what has come since a time, in milliseconds since the epoch.

    By number of topic-partition; raises TopicsError without the topic.
    """
    async with reader(settings) as consumer:
        tps = await topic_partitions_of(consumer, topic)
        found = await consumer.offsets_for_times(dict.fromkeys(tps, max(0, time_ms)))
        ends = await consumer.end_offsets(tps)
    return {tp.partition: ends[tp] if found[tp] is None else found[tp].offset for tp in tps}


async def read_topic(
    settings: Settings, topic: str, start: Mapping[int, int] | None = None
) -> AsyncGenerator[Record, None]:
    """Every record of a topic that was there when reading began, by topic-partition in order.

    start: the offset to begin at, by number of topic-partition; the first one where not given.
           Only the topic-partitions named are read when it is given.
    """
    async with reader(settings) as consumer:
        chosen = await topic_partitions_of(consumer, topic)
        if start is not None:
            chosen = [tp for tp in chosen if tp.partition in start]
        consumer.assign(chosen)
        firsts = await consumer.beginning_offsets(chosen)
        ends = await consumer.end_offsets(chosen)
        for tp in chosen:
            wanted = (start or {}).get(tp.partition, 0)
            consumer.seek(tp, max(wanted, firsts[tp]))
        unread = {tp for tp in chosen if await consumer.position(tp) < ends[tp]}
        quiet = 0
        while unread:
            batches = await consumer.getmany(*unread, timeout_ms=500)
            quiet = 0 if batches else quiet + 1
            if quiet == QUIET_POLLS:
                # aiokafka fetches for ever where the brokers have gone; this raises then.
                await consumer.end_offsets(unread)
                quiet = 0
            for tp, messages in batches.items():
                for message in messages:
                    if message.offset < ends[tp]:
                        yield as_record(message)
            unread = {tp for tp in unread if await consumer.position(tp) < ends[tp]}


def as_record(message: Any) -> Record:
    """A record of aiokafka as ours."""
    return Record(
        topic=message.topic,
        topic_partition=message.partition,
        offset=message.offset,
        timestamp_ms=message.timestamp,
        key=message.key,
        value=message.value,
        headers=tuple(message.headers),
    )
