"""Reading the attempt ledger: what the group has committed, and the marks beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import structlog
from aiokafka import TopicPartition as ClientTopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from streamproc.kafka.attempts import Mark, inherit
from streamproc.kafka.commits import Position
from streamproc.kafka.committed_offsets import committed_offsets
from streamproc.kafka.security import connection_options
from streamproc.messages.record import TopicPartition
from streamproc.settings import Settings

_log = structlog.get_logger(__name__)


class Left(NamedTuple):
    """What was left of a topic-partition.

    committed: the offset; None: there is none
    mark, finished: what was left beside it; offsets above that are finished
    """

    committed: int | None
    mark: Mark = Mark()
    finished: frozenset[int] = frozenset()


Found = Mapping[TopicPartition, Left]


async def read_ledger(settings: Settings, topic_partitions: Iterable[TopicPartition]) -> Found:
    """What was committed of each topic-partition; raises whatever Kafka's client does."""
    return decoded(await read_positions(settings, topic_partitions))


def decoded(positions: Mapping[TopicPartition, Position | None]) -> Found:
    """The marks beside positions, None where nothing is committed."""
    return {
        tp: Left(None) if at is None else Left(at.offset, Mark.decode(at.metadata), at.finished)
        for tp, at in positions.items()
    }


async def read_positions(
    settings: Settings, topic_partitions: Iterable[TopicPartition]
) -> dict[TopicPartition, Position | None]:
    """What the group has committed of each topic-partition; raises whatever Kafka's client does."""
    asked = {ClientTopicPartition(tp.topic, tp.topic_partition): tp for tp in topic_partitions}
    if not asked:
        return {}
    admin = AIOKafkaAdminClient(**connection_options(settings))
    await admin.start()
    try:
        found = await committed_offsets(admin, settings.group_id, asked)
    finally:
        await admin.close()
    positions: dict[TopicPartition, Position | None] = {}
    for client_tp, tp in asked.items():
        offset, metadata = found[client_tp]
        positions[tp] = None if offset < 0 else Position(offset, metadata)
    return positions


def inherit_marks(left: Found) -> dict[TopicPartition, tuple[int | None, Mark]]:
    """What the next owner begins with; warns of what a predecessor died with in hand."""
    found = {tp: (at, inherit(mark, at or 0)) for tp, (at, mark, _) in left.items()}
    suspected = {tp: mark for tp, (_, mark) in found.items() if mark.deaths > left[tp].mark.deaths}
    if suspected:
        _log.warning(
            "earlier worker crashed, its requests run in small groups",
            topic_partitions=len(suspected),
            deaths=max(mark.deaths for mark in suspected.values()),
            one_at_a_time=sorted(str(tp) for tp, mark in suspected.items() if mark.single),
        )
    return found
