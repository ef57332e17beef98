"""Faust's consumer, made to bring records sooner, and interactive ones first."""

from __future__ import annotations

from collections.abc import Collection, Coroutine, Generator, Mapping
from inspect import iscoroutine
from types import coroutine
from typing import Any

import faust
from aiokafka import TopicPartition as ClientTopicPartition
from aiokafka.errors import CommitFailedError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer
from faust.types import TP

from streamproc.kafka.commits import Position
from streamproc.kafka.patience import wait_after_failed_updates
from streamproc.kafka.record_batches import read_every_record

FETCH_MAX_WAIT_MS = 50
POLL_TIMEOUT_S = 0.05
# A flood of interactive requests leaves the bulk lane this part of every poll.
BULK_SHARE = 0.25


def fetch_often(app: faust.App, interactive_topics: Collection[str]) -> None:
    """Make an app that has not started yet consume without Faust's long waits.

    aiokafka has one fetch under way per broker, and a topic-partition that it does not cover waits
    until it returns: in Faust after 1.5 s without news, which is how long every other record of a
    quiet topic, or an interactive one beside a backlog, then takes. And a topic-partition that is
    resumed waits for the poll that goes on without it, up to a second.

    interactive_topics: whose records a poll takes first. aiokafka hands records out in the order
        in which their topic-partitions were fetched, so that an interactive one waits until all
        that was fetched of a bulk backlog has been handed out.
    """
    first = frozenset(interactive_topics)

    class LaneConsumer(_Consumer):
        def _new_consumer_thread(self) -> Any:
            thread = _Thread(self, loop=self.loop, beacon=self.beacon)
            thread.interactive_topics = first
            return thread

    app.transport.Consumer = LaneConsumer


class _Thread(AIOKafkaConsumerThread):  # type: ignore[misc]
    interactive_topics: frozenset[str] = frozenset()

    def _create_worker_consumer(self, transport: Any) -> Any:
        read_every_record()
        consumer = super()._create_worker_consumer(transport)
        # Faust has no setting for it.
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS  # noqa: SLF001
        wait_after_failed_updates(consumer._client)  # noqa: SLF001
        return consumer

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: set[TP] | None,
        timeout: float | None = None,  # noqa: ASYNC109 - Faust's
        max_records: int | None = None,
    ) -> dict[TP, list[Any]]:
        """The next records: interactive ones as far as there are any, then bulk ones."""
        everything = active_partitions or set()
        interactive = {tp for tp in everything if tp.topic in self.interactive_topics}
        bulk = everything - interactive
        # aiokafka takes an empty set of topic-partitions for all of them.
        if not interactive or not bulk:
            return await self._fetched(consumer, everything, timeout, max_records)
        records = await self._fetched(consumer, interactive, 0, max_records)
        if not records:
            return await self._fetched(consumer, everything, timeout, max_records)
        if max_records is not None:
            left = max_records - sum(map(len, records.values()))
            max_records = max(left, round(max_records * BULK_SHARE))
        return {**records, **await self._fetched(consumer, bulk, 0, max_records)}

    async def _fetched(self, *arguments: Any) -> dict[TP, list[Any]]:
        consumer, topic_partitions, timeout, max_records = arguments
        fetched: dict[TP, list[Any]] = await super()._fetch_records(
            consumer, topic_partitions, timeout=timeout, max_records=max_records
        )
        return fetched

    async def _commit(self, offsets: Mapping[Any, Position]) -> bool:
        return await self._store(offsets)

    async def _store(self, positions: Mapping[Any, Position]) -> bool:
        """As Faust commits, which keeps nothing beside an offset."""
        consumer = self._ensure_consumer()
        kept = {
            ClientTopicPartition(tp.topic, tp.partition): OffsetAndMetadata(*position)
            for tp, position in positions.items()
            if tp in self.assignment()
        }
        try:
            await consumer.commit(kept)
        except CommitFailedError as error:
            if "already rebalanced" not in str(error):
                await self.crash(error)
            return False
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker has to learn of it
            await self.crash(error)
            return False
        return True


class _Consumer(Consumer):  # type: ignore[misc]
    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's
        return await super()._wait_next_records(min(timeout, POLL_TIMEOUT_S))

    async def wait_first(self, *waited_for: Any, timeout: Any = None) -> Any:  # noqa: ASYNC109
        """Faust's, which hands every record on in it, beside a wait for the flow to be suspended.

        Handing on hardly ever waits, so it is begun in place: four tasks and an `asyncio.wait` for
        each record were 40 of the 75 microseconds that Faust takes for one.
        """
        first, *others = waited_for
        if not iscoroutine(first) or not all(map(iscoroutine, others)):
            return await super().wait_first(*waited_for, timeout=timeout)
        try:
            waiting_for = first.send(None)
        except StopIteration:
            for other in others:
                other.close()
            return None
        return await super().wait_first(_resumed(first, waiting_for), *others, timeout=timeout)


@coroutine
def _resumed(begun: Coroutine[Any, Any, Any], waiting_for: Any) -> Generator[Any, Any, Any]:
    """The rest of a coroutine whose first step has been made and told what it waits for.

    Not for one that has asked for the current task in that step, as `asyncio.timeout` does.
    """
    while True:
        thrown: BaseException | None = None
        sent = None
        try:
            sent = yield waiting_for
        except BaseException as error:  # noqa: BLE001 - the coroutine's to handle
            thrown = error
        try:
            waiting_for = begun.send(sent) if thrown is None else begun.throw(thrown)
        except StopIteration as ended:
            return ended.value
