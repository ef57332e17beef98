"""Where a group begins on topics of which it has never committed anything: at their end."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError
from aiokafka.structs import OffsetAndMetadata

from streamproc.kafka.private_api import commit_as_member

COMMIT_TIMEOUT_S: Final = 10.0

_log = structlog.get_logger(__name__)


async def start_at_end(consumer: AIOKafkaConsumer, topics: Collection[str]) -> None:
    """Commit the end of those topics of an assignment that are new to the group.

    topics: that are to be read from their end

    A member does, when it is assigned one: from outside Kafka takes no commit for a group that
    runs. It commits for all topic-partitions of a topic, so that another member that is assigned
    the others does not take the topic for known. One of which anything is committed is not new:
    what lies in a topic-partition that was added to it is read from the beginning, or it would be
    lost.
    """
    for topic in sorted({tp.topic for tp in consumer.assignment()} & set(topics)):
        numbers = sorted(consumer.partitions_for_topic(topic) or ())
        everything = [TopicPartition(topic, number) for number in numbers]
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT_S):
                await _commit_ends(consumer, topic, everything)
        except CommitFailedError:
            # The group has moved on, and its next assignment begins with this again.
            continue
        except (KafkaError, TimeoutError) as error:
            _log.error("topic is read from its beginning", topic=topic, reason=type(error).__name__)


async def _commit_ends(
    consumer: AIOKafkaConsumer, topic: str, everything: Collection[TopicPartition]
) -> None:
    for tp in everything:
        if await consumer.committed(tp) is not None:
            return
    ends = await consumer.end_offsets(everything)
    offsets = {tp: OffsetAndMetadata(end, "") for tp, end in ends.items()}
    await commit_as_member(consumer, offsets)
    _log.info("topic is read from its end", topic=topic, topic_partitions=len(ends))
