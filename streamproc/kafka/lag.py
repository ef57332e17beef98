"""What waits on topics by Kafka's own account: committed offsets beside end offsets."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as ClientTopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from streamproc.errors import OperatorError
from streamproc.kafka.committed_offsets import committed_offsets
from streamproc.kafka.refusals import no_kafka
from streamproc.kafka.security import connection_options
from streamproc.kafka.topic_reader import reader
from streamproc.settings import Settings

_LOOK_FOR_OLDEST_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class TopicLag:
    """Records of a topic that its group has not finished.

    exists: whether there is such a topic
    oldest_at_ms: when the oldest of them was made; None: none waits, or it was not looked for
    """

    exists: bool
    waiting: int = 0
    oldest_at_ms: int | None = None


class LagReader:
    """An asynchronous context manager over two connections that disturb no group.

    Raises OperatorError on entry when no broker answers, and later when Kafka refuses.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opening:
            self._consumer: AIOKafkaConsumer = await opening.enter_async_context(
                reader(self._settings)
            )
            self._admin = AIOKafkaAdminClient(**connection_options(self._settings))
            opening.push_async_callback(self._admin.close)
            try:
                await self._admin.start()
            except KafkaError as error:
                raise await no_kafka(self._settings, error) from None
            self._open = opening.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._open.aclose()

    async def lags(
        self, topics: Mapping[str, bool], look_for_oldest: Collection[str] = ()
    ) -> dict[str, TopicLag]:
        """The lag of each topic.

        topics: whether a group that has committed nothing of the topic begins at its end
        look_for_oldest: topics of which the oldest record that waits is fetched, for its time
        """
        try:
            return await self._lags(topics, look_for_oldest)
        except KafkaError as error:
            raise OperatorError(
                f"reading offsets of group {self._settings.group_id} failed: {error}"
            ) from None

    async def _lags(
        self, topics: Mapping[str, bool], look_for_oldest: Collection[str]
    ) -> dict[str, TopicLag]:
        there = set(await self._admin.list_topics()) & set(topics)
        found = {name: TopicLag(exists=name in there) for name in topics}
        tps = [
            ClientTopicPartition(described["topic"], one["partition"])
            for described in (await self._admin.describe_topics(sorted(there)) if there else ())
            for one in described["partitions"]
        ]
        if not tps:
            return found
        next_offsets, ends = await self._positions(tps, topics)
        behind = {tp: at for tp, at in next_offsets.items() if ends[tp] > at}
        oldest = await self._oldest(
            {tp: at for tp, at in behind.items() if tp.topic in look_for_oldest}
        )
        for tp, at in behind.items():
            lag = found[tp.topic]
            times = [ms for ms in (lag.oldest_at_ms, oldest.get(tp)) if ms is not None]
            waiting = lag.waiting + ends[tp] - at
            found[tp.topic] = TopicLag(True, waiting, min(times, default=None))
        return found

    async def _positions(
        self, tps: list[ClientTopicPartition], from_end: Mapping[str, bool]
    ) -> tuple[dict[ClientTopicPartition, int], dict[ClientTopicPartition, int]]:
        """The next offset of the group, and the end, of each topic-partition."""
        self._consumer.assign(tps)
        committed = await committed_offsets(self._admin, self._settings.group_id, tps)
        firsts = await self._consumer.beginning_offsets(tps)
        ends = await self._consumer.end_offsets(tps)
        positions = {}
        for tp in tps:
            if (stored := committed[tp].offset) >= 0:
                positions[tp] = max(stored, firsts[tp])
            else:
                positions[tp] = ends[tp] if from_end[tp.topic] else firsts[tp]
        return positions, ends

    async def _oldest(
        self, behind: Mapping[ClientTopicPartition, int]
    ) -> dict[ClientTopicPartition, int]:
        """When the record at each offset, or the next behind it, was made, in milliseconds."""
        found: dict[ClientTopicPartition, int] = {}
        if not behind:
            return found
        self._consumer.assign([*behind])
        for tp, at in behind.items():
            self._consumer.seek(tp, at)
        try:
            async with asyncio.timeout(_LOOK_FOR_OLDEST_S):
                while missing := behind.keys() - found.keys():
                    batches = await self._consumer.getmany(*missing, timeout_ms=500, max_records=1)
                    for tp, messages in batches.items():
                        found[tp] = messages[0].timestamp
        except TimeoutError:
            # What is left may be of aborted transactions, and never come.
            return found
        return found
