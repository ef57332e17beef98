"""Reading a topic from its beginning, and then on as records come."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import NamedTuple

from aiokafka.errors import KafkaError

from streamproc.errors import OperatorError
from streamproc.kafka.topic_reader import as_record, reader, topic_partitions_of
from streamproc.messages.record import Record
from streamproc.settings import Settings


class Followed(NamedTuple):
    """What has come since the last time, maybe nothing.

    is_whole: all that was there when reading began has come
    """

    records: list[Record]
    is_whole: bool


async def follow_topic(
    settings: Settings, topic: str, wait_ms: int = 500
) -> AsyncGenerator[Followed, None]:
    """All records, by topic-partition in order, without end; at least every `wait_ms`.

    Raises OperatorError when no broker answers or reading fails, TopicsError without the topic.
    """
    try:
        async with reader(settings, fetch_max_wait_ms=wait_ms) as consumer:
            tps = await topic_partitions_of(consumer, topic)
            consumer.assign(tps)
            ends = await consumer.end_offsets(tps)
            await consumer.seek_to_beginning(*tps)
            while True:
                batches = await consumer.getmany(timeout_ms=wait_ms)
                # Compaction may have left less than there was: positions tell it, not records.
                positions = {tp: await consumer.position(tp) for tp in tps}
                yield Followed(
                    [as_record(message) for found in batches.values() for message in found],
                    is_whole=all(positions[tp] >= ends[tp] for tp in tps),
                )
    except KafkaError as error:
        raise OperatorError(f"reading {topic} failed: {error}") from None
