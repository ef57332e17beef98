"""Every private name of Faust, mode and aiokafka that is needed, and used nowhere but here.

They have neither settings nor public methods for these. What has to be replaced is replaced by a
function of ours; a consumer's private steps have public names in the classes below, which
`faust_consumer.py` and `consumer_thread.py` build on. `tests/unit/kafka/test_private_names.py`
names each, and fails when a version no longer has it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import faust
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer import fetcher
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer
from faust.types import TP

from streamproc.kafka.commits import Position

MetadataUpdate = Callable[[Any, Iterable[str] | None], Awaitable[bool]]
FetchRequest = Callable[[Any, Any, Any], Awaitable[Any]]
CoordinatorRequest = Callable[[Any], Awaitable[Any]]


class ConsumerThread(AIOKafkaConsumerThread):  # type: ignore[misc]
    """Faust's thread around an aiokafka consumer."""

    @property
    def client(self) -> Any:
        """The aiokafka consumer; raises ConsumerNotStarted before there is one."""
        return self._ensure_consumer()

    def make_client(self, transport: Any) -> Any:
        """The aiokafka consumer, not started yet."""
        return super()._create_worker_consumer(transport)

    async def fetch(
        self,
        client: Any,
        topic_partitions: set[TP],
        timeout: float | None,  # noqa: ASYNC109 - Faust's
        max_records: int | None,
    ) -> dict[TP, list[Any]]:
        """The next records of these topic-partitions; an empty set is taken for all of them."""
        fetched: dict[TP, list[Any]] = await super()._fetch_records(
            client, topic_partitions, timeout=timeout, max_records=max_records
        )
        return fetched

    async def store(self, positions: Mapping[TP, Position]) -> bool:
        """Commit; False when the group has moved on."""
        return bool(await super()._commit(positions))

    def _create_worker_consumer(self, transport: Any) -> Any:
        return self.make_client(transport)

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: set[TP] | None,
        timeout: float | None = None,  # noqa: ASYNC109 - Faust's
        max_records: int | None = None,
    ) -> dict[TP, list[Any]]:
        return await self.fetch(consumer, active_partitions or set(), timeout, max_records)

    async def _commit(self, offsets: Mapping[TP, Position]) -> bool:
        return await self.store(offsets)


class FaustConsumer(Consumer):  # type: ignore[misc]
    """Faust's consumer on the worker's loop."""

    def make_thread(self) -> ConsumerThread:
        """What reads from Kafka for it."""
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def takes(self, topic_partition: TP, active: set[TP] | None) -> bool:
        """Whether records of it, which a poll has brought, are to be handed on.

        active: the topic-partitions that were polled; None: all
        """
        return active is None or topic_partition in active | self._buffered_partitions

    @property
    def holds_all_back(self) -> bool:
        """Whether there is nothing to poll, though nothing keeps it from polling."""
        return bool(self.flow_active) and not self._get_active_partitions()

    @property
    def holds_back(self) -> bool:
        """Whether there are topic-partitions that nothing is fetched of for now."""
        return bool(self._paused_partitions or self._buffered_partitions)

    async def poll(self, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's
        """The next records, waited for as long at most."""
        return await super()._wait_next_records(timeout)

    def _new_consumer_thread(self) -> ConsumerThread:
        return self.make_thread()

    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's
        return await self.poll(timeout)


async def has_crashed(app: faust.App) -> None:
    """Returns once a part of a Faust app has crashed; mode has no other way to wait for it."""
    await app._crashed.wait()


def wait_for_kafka(app: faust.App) -> None:
    """Let an assignment that begins wait as long as Kafka takes, or until another one begins.

    Faust gives its waits `broker_request_timeout`, takes one that is over for its own end, and
    would begin no assignment any more.
    """
    recovery = app.tables.recovery
    wait = recovery._wait

    async def wait_without_end(waited_for: Any, timeout: Any = None) -> None:  # noqa: ASYNC109
        await wait(waited_for)

    recovery._wait = wait_without_end


async def commit(app: faust.App, positions: Mapping[TP, Position]) -> bool:
    """What `ConsumerThread.store` says; the public commit adds Faust's own bookkeeping."""
    consumer: Any = app.consumer
    return bool(await consumer._commit(positions))


def set_fetching(consumer: AIOKafkaConsumer, max_wait_ms: int, isolation_level: str) -> None:
    """How long a broker may keep a fetch, and which records of transactions come; Faust sets none.

    consumer: not started yet
    """
    consumer._fetch_max_wait_ms = max_wait_ms
    consumer._isolation_level = isolation_level


def set_fetch_wait(request: Any, max_wait_ms: int) -> None:
    """How long a broker may keep one fetch that has not been sent yet."""
    request._max_wait_ms = max_wait_ms


def hand_out_later(consumer: AIOKafkaConsumer, topic_partitions: Iterable[TopicPartition]) -> None:
    """What was fetched of these comes after what was fetched of others.

    aiokafka hands out all that it has of one topic-partition before it begins with the next.
    """
    fetched = consumer._fetcher._records
    for tp in topic_partitions:
        if tp in fetched:
            fetched[tp] = fetched.pop(tp)


def linger_if_busy(producer: AIOKafkaProducer, linger_ms: float) -> None:
    """Let records from now on wait for others for so long, unless none is under way: then not.

    aiokafka sends one request to a broker at a time, so what comes meanwhile is gathered anyway.
    """
    waiting = producer._message_accumulator
    idle = not waiting._batches and not waiting._pending_batches
    waiting._linger_time = 0.0 if idle else linger_ms / 1000


def client_of(consumer: AIOKafkaConsumer) -> AIOKafkaClient:
    """What a consumer asks brokers by."""
    return consumer._client


def replace_metadata_update(
    client: AIOKafkaClient, replacement: Callable[[MetadataUpdate], MetadataUpdate]
) -> None:
    """How a client learns where its topics are; replacement: is given how it does now."""
    client._metadata_update = replacement(client._metadata_update)


def replace_fetch_request(
    consumer: AIOKafkaConsumer, replacement: Callable[[FetchRequest], FetchRequest]
) -> None:
    """How one fetch is asked for; replacement: is given how it is now."""
    inner = consumer._fetcher
    inner._proc_fetch_request = replacement(inner._proc_fetch_request)


def replace_fatal_error(
    consumer: AIOKafkaConsumer, handle: Callable[[BaseException], Awaitable[None]]
) -> None:
    """What the group's coordinator does with an error that it takes for fatal."""
    consumer._coordinator._push_error_to_user = handle


def replace_coordinator_request(
    consumer: AIOKafkaConsumer, replacement: Callable[[CoordinatorRequest], CoordinatorRequest]
) -> None:
    """How the group's coordinator is asked; replacement: is given how it is now."""
    inner = consumer._coordinator
    inner._send_req = replacement(inner._send_req)


def replace_records_parser(parser: type) -> None:
    """What every consumer of this process reads the bytes of a fetch response with."""
    fetcher.MemoryRecords = parser


def assignment_of(consumer: AIOKafkaConsumer) -> Any:
    """The assignment with its positions, without waiting for them; None: there is none."""
    subscription = consumer._subscription.subscription
    return subscription.assignment if subscription else None


def rejoin_group(consumer: AIOKafkaConsumer) -> None:
    """Join the group again, beginning at what is committed."""
    consumer._coordinator.request_rejoin()


def forget_coordinator(consumer: AIOKafkaConsumer) -> None:
    """Look for the group's coordinator again before it is asked anything."""
    consumer._coordinator.coordinator_dead()


def is_joining(consumer: AIOKafkaConsumer) -> bool:
    """Whether another assignment is to follow the one that the consumer has."""
    return bool(consumer._subscription.reassignment_in_progress)


def note_poll(consumer: AIOKafkaConsumer) -> None:
    """Count as a poll for `max_poll_interval_ms`, after which a member leaves its group."""
    consumer._subscription._last_fetch_ended = time.monotonic()


async def committed_of(
    consumer: AIOKafkaConsumer, topic_partitions: Iterable[TopicPartition]
) -> dict[TopicPartition, OffsetAndMetadata]:
    """What the group has committed, with what is kept beside it; the public method has no more
    than the offset."""
    found: dict[
        TopicPartition, OffsetAndMetadata
    ] = await consumer._coordinator.fetch_committed_offsets([*topic_partitions])
    return found


async def commit_as_member(
    consumer: AIOKafkaConsumer, offsets: Mapping[TopicPartition, OffsetAndMetadata]
) -> None:
    """Commit for topic-partitions that other members of the group may have."""
    await consumer._coordinator.commit_offsets(assignment_of(consumer), dict(offsets))


async def is_closing(consumer: AIOKafkaConsumer, within_s: float) -> None:
    """Returns once the consumer leaves its group, or the time is over."""
    await asyncio.wait({consumer._coordinator._closing}, timeout=within_s)


def failure_of(producer: AIOKafkaProducer) -> BaseException | None:
    """What a transactional producer can't go on for; None: it can.

    Taken note of by that: asyncio logs what nobody has looked at.
    """
    manager = producer._txn_manager
    found = None
    for failed in (manager and manager.wait_for_transaction_end(), producer._sender.sender_task):
        if failed is not None and failed.done() and not failed.cancelled():
            found = failed.exception() or found
    return found


def background_tasks(consumer: AIOKafkaConsumer) -> tuple[asyncio.Task[Any], asyncio.Task[Any]]:
    """What keeps a started consumer in its group, and what fetches for it."""
    return consumer._coordinator._coordination_task, consumer._fetcher._fetch_task
