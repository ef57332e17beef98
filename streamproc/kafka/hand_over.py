"""A record is put among those that a client of aiokafka's sends."""

from __future__ import annotations

import asyncio
import random
from zlib import crc32

import structlog
from aiokafka import AIOKafkaProducer

from streamproc.messages.record import ProducerRecord

_log = structlog.get_logger(__name__)


async def hand_over_to(client: AIOKafkaProducer, record: ProducerRecord) -> asyncio.Future[object]:
    """Put a record among those that a client sends; returns what is done once it is stored.

    It may be cancelled: the record is sent all the same.
    Waits while there is no room, or nothing is known of the topic. Raises KafkaError.
    """
    headers = list(record.headers)
    if record.key is not None or record.value is not None:
        handed_over: asyncio.Future[object] = await client.send(
            record.topic,
            key=record.key,
            value=record.value,
            headers=headers,
            timestamp_ms=record.timestamp_ms,
            partition=await _topic_partition(client, record),
        )
        return handed_over
    # aiokafka's send refuses a record without key and value, which a dead letter may be.
    batch = client.create_batch()
    batch.append(timestamp=record.timestamp_ms, key=None, value=None, headers=headers)
    batch.close()
    choices = sorted(await client.partitions_for(record.topic))
    sent = await client.send_batch(
        batch,
        record.topic,
        partition=random.choice(choices),  # noqa: S311 - spreads load
    )
    # That of a record is its own, this one is what aiokafka knows of the batch by.
    return asyncio.shield(sent)


async def _topic_partition(client: AIOKafkaProducer, record: ProducerRecord) -> int | None:
    """The one that a record asks for, or is kept in order by; None: its key, or chance, decides."""
    asked, order = record.topic_partition, record.ordered_by if record.key is None else None
    if asked is None and order is None:
        return None
    there = sorted(await client.partitions_for(record.topic))
    if asked in there:
        return asked
    if asked is not None:
        _log.warning("no such topic-partition", topic=record.topic, topic_partition=asked)
    # Any hash will do that all parts of an answer, and the answer, are sent by; this one is in C.
    return None if order is None else there[crc32(order) % len(there)]
