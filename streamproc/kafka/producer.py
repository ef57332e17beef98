"""The producer: returns when the broker has stored a record, and tries until it has."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from typing import Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError

from streamproc.clock import Clock
from streamproc.errors import BrokerUnavailable, KafkaRefused, TooLarge
from streamproc.kafka.hand_over import hand_over_to
from streamproc.kafka.metadata_backoff import wait_after_failed_updates
from streamproc.kafka.private_api import linger_if_busy
from streamproc.kafka.refusals import refusal
from streamproc.kafka.refused_records import not_taken, raise_if_refused
from streamproc.kafka.security import connection_options
from streamproc.kafka.sizes import topic_max_bytes
from streamproc.kafka.topic_ids import topic_ids
from streamproc.kafka.topic_troubles import TopicTroubles
from streamproc.messages.record import ProducerRecord
from streamproc.settings import Settings

_log = structlog.get_logger(__name__)

# While others are under way; a record that is alone is sent at once.
LINGER_MS: Final = 5
MAX_BATCH_BYTES: Final = 16_384
PROBE_TIMEOUT_S: Final = 2.0
# A little longer than aiokafka looks for a topic.
HAND_OVER_TIMEOUT_S: Final = 35.0


class Producer:
    """Sends records, each until it is stored: by all replicas, or with `fast` by the leader.

    limits: the most bytes a record may have, by topic; others are held to the largest limit
    last_error: what is wrong with the brokers; None: one answered when last spoken to
    troubles: what is wrong with single topics
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
        self._watched: frozenset[str] = frozenset()
        self.last_error: str | None = "not connected yet"
        self.troubles = TopicTroubles()

    def watch(self, topics: Collection[str]) -> None:
        """Look after topics with every probe; before `start`."""
        self._watched = frozenset(topics)

    async def start(self) -> None:
        """Connect. Raises BrokerUnavailable when no broker answers; it may be called again.

        Raises KafkaRefused where waiting won't help.
        """
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

    async def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
        """The ids of those topics that exist; none while no broker tells any."""
        return {} if self._client is None else await topic_ids(self._client.client, topics)

    async def send(self, record: ProducerRecord) -> None:
        """Store a record; returns when the broker has it, however long it or the topic is away.

        Raises TooLarge when the topic does not take a record of that size, unless it is a last
        resort: that is tried until it does; and RefusedRecord where the topic takes none like it,
        for the timestamp or for want of a key, if there is one to be sent instead.
        """
        if not record.is_last_resort:
            self.refuse_size(record)
        topic, sender = record.topic, object()
        try:
            stored = topic not in self.troubles and await self._tried(record, sender)
            while not stored:
                stored = await self._tried_in_turn(record, sender)
        finally:
            self.troubles.gone(topic, sender)

    async def hand_over(self, record: ProducerRecord) -> asyncio.Future[bool]:
        """Put a record among those to be sent, in the order of the calls; tried once.

        Returns what says whether it was stored. It waits only while there is no room, or nothing is
        known of the topic.
        """
        client, handed_over = self._client, None
        if client is not None and record.topic not in self.troubles:
            try:
                handed_over = await _hand_over_soon(client, record)
            except KafkaError as error:
                _log.warning("record not sent", topic=record.topic, error=type(error).__name__)
        return asyncio.ensure_future(self._stored_at_once(client, record, handed_over))

    async def _stored_at_once(
        self,
        client: AIOKafkaProducer | None,
        record: ProducerRecord,
        handed_over: asyncio.Future[object] | None,
    ) -> bool:
        if client is None or handed_over is None:
            return False
        try:
            await handed_over
        except KafkaError as error:
            _log.warning("record not stored", topic=record.topic, error=type(error).__name__)
            await self._replace(client)  # as `_tried`
            return False
        return True

    async def _tried_in_turn(self, record: ProducerRecord, sender: object) -> bool:
        async with self.troubles.turn(record.topic):
            # One tries at a time: all of them would make a producer each after every try.
            if not self.troubles.takes_records(record.topic):
                return await self._tried(record, sender, is_alone=True)
        return await self._tried(record, sender)

    async def _tried(
        self, record: ProducerRecord, sender: object, *, is_alone: bool = False
    ) -> bool:
        """Whether the record is stored now; waits before it returns False.

        is_alone: no other is in its batch, which a broker takes or refuses as a whole
        """
        client = self._client
        if client is None:
            raise BrokerUnavailable("the producer is not started")
        try:
            await (await _hand_over_soon(client, record))
        except KafkaError as error:
            reason = not_taken(record, error)
            # A batch that failed leaves a hole in the sequence numbers of an idempotent
            # producer, and the broker refuses all that follows: go on with a new one.
            await self._replace(client)
            if is_alone or record.size_bytes > MAX_BATCH_BYTES:
                raise_if_refused(record, error)
        else:
            self.last_error = None
            self.troubles.stored(record.topic)
            return True
        await self._clock.sleep(self.troubles.failed(record.topic, sender, reason))
        return False

    async def probe(self) -> bool:
        """Ask the brokers for metadata; whether one answered within two seconds."""
        client = self._client
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                answered = client is not None and await client.client.force_metadata_update()
        except (TimeoutError, OSError, KafkaError):
            answered = False
        if client is not None and answered:
            self.last_error = None
            self._look_up(client)
        else:
            # What was valid at the start may have been changed, or have expired, since.
            refused = await refusal(self._settings)
            self._set_error(str(refused) if refused is not None else "no broker answers")
        return bool(answered)

    def _look_up(self, client: AIOKafkaProducer) -> None:
        cluster, missing = client.client.cluster, {}
        for topic in self._watched:
            if topic in cluster.unauthorized_topics:
                missing[topic] = "this user may not use it: an ACL is missing"
            elif cluster.partitions_for_topic(topic) is None:
                missing[topic] = (
                    "it does not exist; `streamproc topics apply` creates those described"
                )
        self.troubles.looked_up(self._watched, missing)

    @property
    def max_request_bytes(self) -> int:
        """The most bytes that one request to a broker may have."""
        return max(self._default_limit, *self._limits.values(), 0)

    def refuse_size(self, record: ProducerRecord) -> None:
        """Raise TooLarge for a record that its topic is not meant to take."""
        limit, size = self._limits.get(record.topic, self._default_limit), record.size_bytes
        if size > limit:
            raise TooLarge("record too large", f"{size} bytes; {record.topic} allows {limit}")

    async def _connected(self) -> AIOKafkaProducer:
        fast = self._settings.delivery == "fast"
        client = AIOKafkaProducer(
            **self._options,
            acks=1 if fast else "all",
            enable_idempotence=not fast,
            linger_ms=LINGER_MS,
            max_request_size=self.max_request_bytes,
            max_batch_size=MAX_BATCH_BYTES,
            request_timeout_ms=30_000,
        )
        wait_after_failed_updates(client.client, self._clock.sleep)
        try:
            await client.start()
        except asyncio.CancelledError:
            # Whoever it was begun for has gone; started half, it would go on for ever.
            self._retire(client)
            raise
        except KafkaError as error:
            await client.stop()
            self._set_error("no broker answers")
            refused = await refusal(self._settings)
            if refused is not None:
                self._set_error(str(refused))
                raise refused from None
            raise BrokerUnavailable(
                f"no Kafka at {self._settings.kafka_bootstrap_servers}: {error}"
            ) from None
        client.client.set_topics(self._watched)
        self.last_error = None
        return client

    async def _replace(self, failed: AIOKafkaProducer) -> None:
        async with self._replacing:
            if self._client is not failed:
                return
            try:
                self._client = await self._connected()
            except (BrokerUnavailable, KafkaRefused):
                return
            self._retire(failed)

    def _retire(self, client: AIOKafkaProducer) -> None:
        # What it still holds is sent, or fails and is sent again by the new one.
        task = asyncio.create_task(client.stop())
        self._retired.add(task)
        task.add_done_callback(self._retired.discard)

    def _set_error(self, error: str) -> None:
        if self.last_error != error:
            _log.warning("broker unavailable", error=error)
        self.last_error = error


async def _hand_over_soon(
    client: AIOKafkaProducer, record: ProducerRecord
) -> asyncio.Future[object]:
    """As `hand_over_to`; it waits for others only where some are under way.

    Raises KafkaTimeoutError where it takes too long: aiokafka looks for a topic that is not there
    as long as a request may take, and without end once its client has been closed meanwhile.
    """
    linger_if_busy(client, LINGER_MS)
    try:
        async with asyncio.timeout(HAND_OVER_TIMEOUT_S):
            return await hand_over_to(client, record)
    except TimeoutError:
        raise KafkaTimeoutError(f"{record.topic}: nothing is known of it") from None
