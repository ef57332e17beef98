"""One topic-partition's producer: its answers and the offset behind them, in one transaction.

Kafka takes transactions of an id from the producer that connected last, and from no other. The id
names group and topic-partition, so connecting ends whatever an earlier owner still has under way,
before it is asked how far that one came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container, Sequence
from typing import Final, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka import TopicPartition as ClientTopicPartition
from aiokafka.errors import (
    IllegalOperation,
    IncompatibleBrokerVersion,
    InvalidTransactionTimeout,
    KafkaError,
    ProducerFenced,
    TransactionalIdAuthorizationFailed,
    UnsupportedVersionError,
)
from aiokafka.structs import OffsetAndMetadata

from streamproc.clock import Clock
from streamproc.errors import Invalid, OperatorError, StreamprocError
from streamproc.kafka.commits import Position
from streamproc.kafka.hand_over import hand_over_to
from streamproc.kafka.metadata_backoff import wait_after_failed_updates
from streamproc.kafka.private_api import failure_of
from streamproc.kafka.refused_records import not_taken, refused
from streamproc.kafka.security import connection_options
from streamproc.messages.record import ProducerRecord, TopicPartition
from streamproc.settings import Settings

HAND_OVER_TIMEOUT_S: Final = 10.0
STOP_TIMEOUT_S: Final = 5.0


class Fenced(StreamprocError):
    """Another producer has connected for the topic-partition, or the brokers gave this one up."""


class Rejected(StreamprocError):
    """A topic did not take a record.

    reason: a clause that says why
    refusal: what may be wrong with the record itself, or with one that was in its batch
    """

    def __init__(self, record: ProducerRecord, reason: str, refusal: Invalid | None = None) -> None:
        super().__init__(f"{record.topic}: {reason}")
        self.record = record
        self.reason = reason
        self.refusal = refusal

    @property
    def topic(self) -> str:
        """The one that did not take it."""
        return self.record.topic


class TransactionalProducer(Protocol):
    """Connected for one topic-partition."""

    async def store(
        self, records: Sequence[ProducerRecord], position: Position, alone: Container[str] = ()
    ) -> None:
        """Store records and commit a position, both or neither.

        alone: topics that take one record at a time, so that it is known which one they refuse
        Raises Fenced, Rejected, or what Kafka's client does. Nothing more can be stored by it then,
        and whether this was is to be asked by the next one.
        """
        ...

    async def close(self) -> None:
        """Disconnect; a transaction that was left open is for the next one to end."""
        ...


class KafkaTransactions:
    """A transactional producer of aiokafka's."""

    def __init__(self, client: AIOKafkaProducer, tp: TopicPartition, group_id: str) -> None:
        """client: started, with a transactional id"""
        self._client = client
        self._topic_partition = ClientTopicPartition(tp.topic, tp.topic_partition)
        self._group_id = group_id

    @classmethod
    async def connect(
        cls, settings: Settings, tp: TopicPartition, max_request_bytes: int, clock: Clock
    ) -> KafkaTransactions:
        """Returns once every earlier transaction of the topic-partition is committed or aborted.

        Raises OperatorError where somebody has to change something, else KafkaError.
        """
        client = AIOKafkaProducer(
            **connection_options(settings),
            transactional_id=f"{settings.group_id}-{tp.topic}-{tp.topic_partition}",
            transaction_timeout_ms=round(settings.transaction_timeout_s * 1000),
            max_request_size=max_request_bytes,
            request_timeout_ms=30_000,
        )
        wait_after_failed_updates(client.client, clock.sleep)
        made = cls(client, tp, settings.group_id)
        try:
            await client.start()
        except BaseException as error:
            await made.close()
            needed = _needed(error, settings)
            if needed is not None:
                raise OperatorError(needed) from None
            raise
        return made

    async def store(
        self, records: Sequence[ProducerRecord], position: Position, alone: Container[str] = ()
    ) -> None:
        try:
            await self._store(records, position, alone)
        except Exception as error:
            # What comes next after it was fenced says that it is in no transaction.
            if isinstance(failure_of(self._client) or error, ProducerFenced):
                raise Fenced from None
            raise

    async def _store(
        self, records: Sequence[ProducerRecord], position: Position, alone: Container[str]
    ) -> None:
        client = self._client
        await client.begin_transaction()
        for record in records:
            if record.topic in alone:
                await self._send_alone(record)
        together = [record for record in records if record.topic not in alone]
        sent = [await self._hand_over(record) for record in together]
        offsets = {self._topic_partition: OffsetAndMetadata(*position)}
        committing = client.send_offsets_to_transaction(offsets, self._group_id)
        results = await asyncio.gather(*sent, committing, return_exceptions=True)
        for record, result in zip(together, results, strict=False):
            if isinstance(result, KafkaError):
                raise _rejected(record, result)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        await client.commit_transaction()

    async def close(self) -> None:
        failure_of(self._client)
        try:
            # It waits for what is buffered, which a broker may never take.
            await asyncio.wait_for(self._client.stop(), STOP_TIMEOUT_S)
        except (TimeoutError, KafkaError):
            await self._client.client.close()

    async def _send_alone(self, record: ProducerRecord) -> None:
        sent = await self._hand_over(record)
        try:
            await sent
        except KafkaError as error:
            raise _rejected(record, error) from None

    async def _hand_over(self, record: ProducerRecord) -> asyncio.Future[object]:
        try:
            # aiokafka looks for a topic that is not there as long as a request may take.
            return await asyncio.wait_for(hand_over_to(self._client, record), HAND_OVER_TIMEOUT_S)
        except (ProducerFenced, IllegalOperation):
            raise
        except (KafkaError, TimeoutError) as error:
            raise _rejected(record, error) from None


def _rejected(record: ProducerRecord, error: Exception) -> Rejected:
    return Rejected(record, not_taken(record, error), refused(record, error))


def _needed(error: BaseException, settings: Settings) -> str | None:
    """What has to be changed before the brokers take transactions; None: it may pass."""
    known = {
        TransactionalIdAuthorizationFailed: (
            "exactly_once needs the ACLs Write and Describe on the transactional ids that begin "
            f"with {settings.group_id}-"
        ),
        InvalidTransactionTimeout: (
            f"STREAMPROC_TRANSACTION_TIMEOUT_S={settings.transaction_timeout_s:g} is more than the "
            "brokers' transaction.max.timeout.ms"
        ),
        IncompatibleBrokerVersion: "exactly_once needs brokers that know transactions",
        UnsupportedVersionError: "exactly_once needs brokers that know transactions",
    }
    found = (said for kind, said in known.items() if isinstance(error, kind))
    return next(found, None)
