"""Asking requests of any task over Kafka, with answers on a topic-partition of one's own choice.

Decision 53 says why it is one topic-partition of a shared topic, read without a group.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Final, Protocol, Self

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as ClientTopicPartition

from streamproc.clock import Clock
from streamproc.errors import BrokerUnavailable, OperatorError
from streamproc.kafka.background import ended
from streamproc.kafka.backoff import backoff_s
from streamproc.kafka.cancels import CancelPublisher
from streamproc.kafka.metadata_backoff import wait_after_failed_updates
from streamproc.kafka.private_api import client_of
from streamproc.kafka.producer import Producer
from streamproc.kafka.topic_reader import reader, topic_partitions_of
from streamproc.kafka.topics import TopicCatalogue
from streamproc.messages.part_reader import is_part
from streamproc.messages.record import Headers, ProducerRecord
from streamproc.messages.reply_address import SPRING_CORRELATION_ID, ReplyAddress, reply_headers
from streamproc.settings import Settings

PROBE_INTERVAL_S: Final = 1.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Reply:
    """A response, or a part of one, as it came: its JSON text, and its headers."""

    value: bytes
    headers: Headers

    @property
    def is_part(self) -> bool:
        """Whether it is a part of a text, and others follow."""
        return is_part(self.headers)


class Replies(Protocol):
    """Who asks on request topics; `ReplyClient` does, and in tests models in the same process."""

    async def ask(self, topic: str, value: bytes, *, key: bytes, headers: Headers = ()) -> Reply:
        """The reply to one request, however long it takes; raises BrokerUnavailable, TooLarge."""
        ...

    def stream(
        self, topic: str, value: bytes, *, key: bytes, headers: Headers = ()
    ) -> AsyncGenerator[Reply, None]:
        """The parts of a text, where the request asks for them, and last the response; as `ask`."""
        ...

    def not_ready(self) -> Collection[str]:
        """Why requests can't be asked now, a clause each; empty when they can."""
        ...

    def trouble_of(self, topic: str) -> str | None:
        """Why a request topic takes no records now; None: it does."""
        ...

    async def __aenter__(self) -> object: ...
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class ReplyClient:
    """Asks on any request topic; an asynchronous context manager that connects by itself.

    replies: the topic that answers come by
    limits:  the most bytes a record may have, by request topic; of these topics it knows whether
             they are there
    cancels: the topic that takes requests back whose caller stops waiting; None: nothing does
    It outlasts brokers and topics that are away: `not_ready` says what is missing, and `ask`
    raises at once while that is so.
    """

    def __init__(
        self,
        settings: Settings,
        replies: str,
        limits: Mapping[str, int],
        clock: Clock,
        cancels: str | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._replies = replies
        self._producer = Producer(settings, clock, limits=limits)
        self._producer.watch({*limits, replies, *(() if cancels is None else (cancels,))})
        self._cancels = CancelPublisher(cancels, self._producer.hand_over)
        self._waiting: dict[bytes, asyncio.Queue[Reply | BaseException]] = {}
        self._address: ReplyAddress | None = None
        self._next_offset = 0
        self._missing: str | None = "not connected to Kafka yet"
        self._open = AsyncExitStack()

    @classmethod
    def of_catalogue(
        cls, settings: Settings, catalogue: TopicCatalogue, clock: Clock
    ) -> Self | None:
        """One for all request topics that are described; None: no topic for replies is."""
        replies = catalogue.replies()
        if not replies:
            return None
        limits = catalogue.limits(settings)
        asked = {topic.name: limits[topic.name] for topic in catalogue.requests()}
        return cls(settings, replies[0], asked, clock, catalogue.cancels_topic())

    async def __aenter__(self) -> Self:
        for work in (self._keep_listening(), self._keep_probing()):
            self._open.push_async_callback(ended, asyncio.create_task(work))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._open.aclose()
        await self._cancels.close()
        await self._producer.stop()

    @property
    def waiting(self) -> int:
        """Requests that were asked and are not answered."""
        return len(self._waiting)

    def not_ready(self) -> Collection[str]:
        """Why requests can't be asked now, a clause each; empty when they can."""
        if self._missing is not None:
            return (self._missing,)
        if self._producer.last_error is not None:
            return (f"Kafka: {self._producer.last_error}",)
        trouble = self._producer.troubles.reason(self._replies)
        return () if trouble is None else (f"{self._replies}: {trouble}",)

    def trouble_of(self, topic: str) -> str | None:
        """Why a request topic takes no records now; None: it does."""
        return self._producer.troubles.reason(topic)

    async def ask(self, topic: str, value: bytes, *, key: bytes, headers: Headers = ()) -> Reply:
        """The response to one request, however long it takes: the caller bounds the wait.

        headers: further ones; where to answer is added
        Raises BrokerUnavailable while `not_ready` has a reason, TooLarge when the topic does not
        take a record of that size.
        """
        async with aclosing(self.stream(topic, value, key=key, headers=headers)) as replies:
            async for reply in replies:
                if not reply.is_part:
                    return reply
        raise AssertionError("unreachable: the last reply is the response")

    async def stream(
        self, topic: str, value: bytes, *, key: bytes, headers: Headers = ()
    ) -> AsyncGenerator[Reply, None]:
        """The parts of a text, where the request asks for them, and last the response; as `ask`.

        Whoever stops before the response, as by a time-out, takes the request back.
        """
        address = self._address
        if address is None or self.not_ready():
            raise BrokerUnavailable("; ".join(self.not_ready()))
        correlation_id = uuid.uuid4().bytes
        replies: asyncio.Queue[Reply | BaseException] = asyncio.Queue()
        self._waiting[correlation_id] = replies
        asking = (*headers, *reply_headers(address, correlation_id))
        sending = asyncio.create_task(
            self._producer.send(ProducerRecord(topic, key, value, asking))
        )
        # The answer may come before the broker has told that the request is stored.
        sending.add_done_callback(partial(_tell_failure, replies))
        is_settled = False
        try:
            while True:
                reply = await replies.get()
                is_settled = isinstance(reply, BaseException) or not reply.is_part
                if isinstance(reply, BaseException):
                    raise reply
                yield reply
                if is_settled:
                    return
        finally:
            sending.cancel()
            self._waiting.pop(correlation_id, None)
            if not is_settled:
                self._cancels.publish(correlation_id)

    async def _keep_listening(self) -> None:
        for wait_s in backoff_s():
            try:
                await self._producer.start()
                async with reader(self._settings) as consumer:
                    wait_after_failed_updates(client_of(consumer), self._clock.sleep)
                    await self._take_topic_partition(consumer)
                    await self._listen(consumer)
            except (OperatorError, BrokerUnavailable) as error:
                self._missing = str(error)
            except Exception as error:  # noqa: BLE001 - Kafka's client may raise anything
                self._missing = f"reading {self._replies} failed: {type(error).__name__}"
            _log.warning("not listening for replies", reason=self._missing, wait_s=wait_s)
            await self._clock.sleep(wait_s)

    async def _take_topic_partition(self, consumer: AIOKafkaConsumer) -> None:
        """Choose one at the first time; later go on where reading it ended."""
        there = await topic_partitions_of(consumer, self._replies)
        if self._address is None:
            mine = random.choice(there)  # noqa: S311 - spreads gateways
            self._next_offset = (await consumer.end_offsets([mine]))[mine]
            self._address = ReplyAddress(self._replies, mine.partition)
        mine = ClientTopicPartition(self._replies, self._address.topic_partition)
        consumer.assign([mine])
        consumer.seek(mine, self._next_offset)
        self._missing = None
        _log.info("listening for replies", topic=mine.topic, topic_partition=mine.partition)

    async def _listen(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            for messages in (await consumer.getmany(timeout_ms=1000, max_records=500)).values():
                for message in messages:
                    self._next_offset = message.offset + 1
                    self._hear(Reply(message.value or b"", tuple(message.headers)))

    def _hear(self, reply: Reply) -> None:
        # Other gateways' replies come by the same topic-partition, and ours may come twice.
        found = next((v for name, v in reply.headers if name == SPRING_CORRELATION_ID), None)
        replies = self._waiting.get(found) if found is not None else None
        if replies is not None:
            replies.put_nowait(reply)

    async def _keep_probing(self) -> None:
        while True:
            await self._clock.sleep(PROBE_INTERVAL_S)
            if self._missing is None:
                await self._producer.probe()


def _tell_failure(
    replies: asyncio.Queue[Reply | BaseException], sending: asyncio.Task[None]
) -> None:
    if not sending.cancelled() and (error := sending.exception()) is not None:
        replies.put_nowait(error)
