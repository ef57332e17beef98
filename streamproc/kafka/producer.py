"""The producer: returns when the broker has stored a record, and tries until it has."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from streamproc.clock import Clock
from streamproc.errors import BrokerUnavailable, TooLarge
from streamproc.kafka.backoff import backoff_s
from streamproc.kafka.patience import wait_after_failed_updates
from streamproc.kafka.security import connection_options
from streamproc.kafka.sizes import topic_max_bytes
from streamproc.messages.record import Outgoing
from streamproc.settings import Settings

_log = structlog.get_logger(__name__)

LINGER_MS: Final = 5
PROBE_TIMEOUT_S: Final = 2.0
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)


class Producer:
    """Sends records, each until it is stored: by all replicas, or with `fast` by the leader.

    limits: the most bytes a record may have, by topic; others are held to the largest limit
    """

    def __init__(
        self, settings: Settings, clock: Clock, *, limits: Mapping[str, int] | None = None
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._limits = dict(limits or {})
        self._default_limit = topic_max_bytes("dlq", settings.max_message_bytes)
        self._options = connection_options(settings)
        self._client: AIOKafkaProducer | None = None
        self._retired: set[asyncio.Task[None]] = set()
        self._replacing = asyncio.Lock()
        self.trouble: str | None = "not connected yet"

    @property
    def is_reachable(self) -> bool:
        """The broker answered when last spoken to; `trouble` says what was wrong otherwise."""
        return self.trouble is None

    async def start(self) -> None:
        """Connect. Raises BrokerUnavailable when no broker answers; it may be called again."""
        if self._client is None:
            self._client = await self._connected()

    async def stop(self) -> None:
        """Send what is buffered, and close; at most ten seconds."""
        client, self._client = self._client, None
        if client is not None:
            self._retire(client)
        if self._retired:
            await asyncio.wait(self._retired, timeout=10)
        for task in self._retired:
            task.cancel()

    async def send(self, record: Outgoing) -> None:
        """Store a record; returns when the broker has it, however long the broker is away.

        Raises TooLarge when the topic does not take a record of that size.
        """
        self._refuse_size(record)
        for wait_s in backoff_s():
            client = self._client
            if client is None:
                raise BrokerUnavailable("the producer is not started")
            try:
                # A cancelled sender must not take the record out of a batch shared with others.
                await asyncio.shield(await self._handed_over(client, record))
            except _TOO_LARGE as error:
                await self._replace(client)
                raise TooLarge("record too large", f"{record.topic} refused it: {error}") from None
            except KafkaError as error:
                self._trouble(f"{type(error).__name__} from {record.topic}")
                _log.warning(
                    "sending failed, trying again",
                    topic=record.topic,
                    error=type(error).__name__,
                    wait_s=wait_s,
                )
                # A batch that failed leaves a hole in the sequence numbers of an idempotent
                # producer, and the broker refuses all that follows: go on with a new one.
                await self._replace(client)
                await self._clock.sleep(wait_s)
            else:
                self.trouble = None
                return

    async def probe(self) -> bool:
        """Ask the brokers for metadata; whether one answered within two seconds."""
        client = self._client
        try:
            answered = client is not None and await asyncio.wait_for(
                client.client.force_metadata_update(), PROBE_TIMEOUT_S
            )
        except (TimeoutError, OSError, KafkaError):
            answered = False
        if answered:
            self.trouble = None
        else:
            self._trouble("no broker answers")
        return bool(answered)

    async def _handed_over(
        self, client: AIOKafkaProducer, record: Outgoing
    ) -> asyncio.Future[object]:
        headers = list(record.headers)
        if record.key is not None or record.value is not None:
            handed_over: asyncio.Future[object] = await client.send(
                record.topic, key=record.key, value=record.value, headers=headers
            )
            return handed_over
        # aiokafka's send refuses a record without key and value, which a dead letter may be.
        batch = client.create_batch()
        batch.append(timestamp=None, key=None, value=None, headers=headers)
        batch.close()
        choices = sorted(await client.partitions_for(record.topic))
        return await client.send_batch(  # type: ignore[no-any-return]
            batch,
            record.topic,
            partition=random.choice(choices),  # noqa: S311 - spreads load
        )

    def _refuse_size(self, record: Outgoing) -> None:
        limit = self._limits.get(record.topic, self._default_limit)
        in_headers = sum(
            len(name.encode()) + len(value or b"") + 8 for name, value in record.headers
        )
        size = len(record.key or b"") + len(record.value or b"") + in_headers + 128
        if size > limit:
            raise TooLarge("record too large", f"{size} bytes; {record.topic} takes {limit}")

    async def _connected(self) -> AIOKafkaProducer:
        fast = self._settings.delivery == "fast"
        client = AIOKafkaProducer(
            **self._options,
            acks=1 if fast else "all",
            enable_idempotence=not fast,
            linger_ms=LINGER_MS,
            max_request_size=max(self._default_limit, *self._limits.values(), 0),
            request_timeout_ms=30_000,
        )
        wait_after_failed_updates(client.client, self._clock.sleep)
        try:
            await client.start()
        except KafkaError as error:
            await client.stop()
            self._trouble("no broker answers")
            raise BrokerUnavailable(
                f"no Kafka at {self._settings.kafka_bootstrap_servers}: {error}"
            ) from None
        self.trouble = None
        return client

    async def _replace(self, failed: AIOKafkaProducer) -> None:
        async with self._replacing:
            if self._client is not failed:
                return
            try:
                self._client = await self._connected()
            except BrokerUnavailable:
                return
            self._retire(failed)

    def _retire(self, client: AIOKafkaProducer) -> None:
        # What it still holds is sent, or fails and is sent again by the new one.
        task = asyncio.create_task(client.stop())
        self._retired.add(task)
        task.add_done_callback(self._retired.discard)

    def _trouble(self, what: str) -> None:
        if self.trouble != what:
            _log.warning("broker trouble", trouble=what)
        self.trouble = what
