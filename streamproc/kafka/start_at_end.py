"""Where a group begins on topics of which it has never committed anything: at their end."""

from __future__ import annotations

from collections.abc import Collection

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from streamproc.errors import BrokerUnavailable
from streamproc.kafka.security import connection_options
from streamproc.kafka.topic_reader import topic_partitions_of
from streamproc.settings import Settings

_log = structlog.get_logger(__name__)


async def start_at_end(settings: Settings, topics: Collection[str]) -> None:
    """Commit the end of each topic-partition that has no committed offset, before joining.

    The first worker of a group does. Kafka takes no commit from outside of a group that runs: its
    topics are then read from their beginning, which is logged.
    Raises BrokerUnavailable.
    """
    if not topics:
        return
    consumer = AIOKafkaConsumer(
        **connection_options(settings), group_id=settings.group_id, enable_auto_commit=False
    )
    try:
        await consumer.start()
        for topic in sorted(topics):
            await _commit_end(consumer, topic)
    except KafkaError as error:
        raise BrokerUnavailable(
            f"no Kafka at {settings.kafka_bootstrap_servers}: {type(error).__name__}"
        ) from None
    finally:
        await consumer.stop()


async def _commit_end(consumer: AIOKafkaConsumer, topic: str) -> None:
    everything = await topic_partitions_of(consumer, topic)
    consumer.assign(everything)
    new = [tp for tp in everything if await consumer.committed(tp) is None]
    ends = await consumer.end_offsets(new) if new else {}
    try:
        await consumer.commit({tp: OffsetAndMetadata(end, "") for tp, end in ends.items()})
    except KafkaError as error:
        _log.error(
            "topic is read from its beginning, the group runs already",
            topic=topic,
            reason=type(error).__name__,
        )
        return
    if new:
        _log.info("topic is read from its end", topic=topic, topic_partitions=len(new))
