"""The transactions of one topic-partition: tried, settled where one failed, or lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final

import structlog

from streamproc.clock import Clock
from streamproc.errors import StreamprocError
from streamproc.kafka.commits import Position
from streamproc.kafka.outbox import Outbox
from streamproc.kafka.topic_troubles import TopicTroubles
from streamproc.kafka.transactional_producer import Fenced, Rejected, TransactionalProducer
from streamproc.logs.redaction import describe_error
from streamproc.messages.record import TopicPartition

_log = structlog.get_logger(__name__)

CLOSE_WAIT_S: Final = 2.0
FAILED_WAIT_S: Final = 1.0

Connect = Callable[[TopicPartition], Awaitable[TransactionalProducer]]
ReadPositions = Callable[
    [Collection[TopicPartition]], Awaitable[Mapping[TopicPartition, Position | None]]
]


class PartitionTransactions:
    """The transactions of one topic-partition, in one assignment.

    stored: the position that is committed, as far as is known
    lost_at_s: since when it is another's; None: it is ours
    """

    def __init__(
        self,
        tp: TopicPartition,
        outbox: Outbox,
        troubles: TopicTroubles,
        clock: Clock,
        connect: Connect,
        read_positions: ReadPositions,
    ) -> None:
        self.topic_partition = tp
        self.stored: Position | None = None
        self.lost_at_s: float | None = None
        self._outbox = outbox
        self._troubles = troubles
        self._clock = clock
        self._connect = connect
        self._read_positions = read_positions
        self._producer: TransactionalProducer | None = None
        self._attempted: Position | None = None
        self._alone: set[str] = set()
        self._not_before_s = 0.0
        self._is_ours = True
        self._is_settling = False

    @property
    def may_try(self) -> bool:
        """Whether a transaction may be begun now."""
        return self.lost_at_s is None and self._clock.monotonic_s() >= self._not_before_s

    async def connect(self) -> None:
        """Be the only one; raises as `Connect` does."""
        self._producer = await self._connect(self.topic_partition)
        if not self._is_ours:
            await self._disconnect()

    async def commit(self, position: Position) -> Position | None:
        """Commit a position with the answers before it; returns what is committed, if anything."""
        try:
            if self._producer is None:
                settled = await self._settle()
                if settled is not None:
                    return settled
            if self._producer is None or self.lost_at_s is not None or not self._is_ours:
                return None
            kept = self._outbox.covered(self.topic_partition, position)
            self._attempted = position
            await self._producer.store([one.record for one in kept], position, self._alone)
        except Fenced:
            self._lose("another producer has connected, or the brokers gave this one up")
        except Rejected as rejected:
            await self._fail(rejected, self._rejected(rejected))
        except Exception as error:  # noqa: BLE001 - Kafka's clients raise a great many
            await self._fail(error, FAILED_WAIT_S)
        else:
            self._at(position)
            self._alone.clear()
            for topic in {one.record.topic for one in kept}:
                self._troubles.stored(topic)
                self._troubles.gone(topic, self)
            return position
        return None

    def give_up(self) -> None:
        """It is no longer ours: nothing more is begun."""
        self._is_ours = False
        for topic in self._troubles.reasons():
            self._troubles.gone(topic, self)

    async def close(self, running: asyncio.Task[Position | None] | None = None) -> None:
        """Disconnect what was given up. running: what it still commits"""
        if running is not None:
            # One that connects again would end what the next owner has under way.
            await asyncio.wait({running}, timeout=0 if self._is_settling else CLOSE_WAIT_S)
            running.cancel()
            await asyncio.wait({running})
        await self._disconnect()

    async def _settle(self) -> Position | None:
        """Connect again, and see what became of the transaction that failed.

        Returns its position if it is committed; None: it is not, or is another's.
        """
        self._is_settling = True
        try:
            self._producer = await self._connect(self.topic_partition)
            found = (await self._read_positions([self.topic_partition])).get(self.topic_partition)
        finally:
            self._is_settling = False
        if self._attempted is not None and found == self._attempted:
            self._at(self._attempted)
            return self._attempted
        if found != self.stored:
            self._lose("another worker has committed")
        return None

    def _rejected(self, rejected: Rejected) -> float:
        """See to what a topic did not take; the seconds to wait until it is tried again."""
        topic, refusal = rejected.topic, rejected.refusal
        self._outbox.spare(self.topic_partition, topic)
        if refusal is not None and topic not in self._alone:
            # A broker refuses a batch as a whole, and does not say for which of its records.
            self._alone.add(topic)
            return 0.0
        if refusal is not None and self._outbox.give_up(
            self.topic_partition, rejected.record, refusal
        ):
            self._troubles.gone(topic, self)
            return 0.0
        return self._troubles.failed(topic, self, rejected.reason)

    def _at(self, position: Position) -> None:
        self.stored, self._attempted = position, None
        if self._is_ours:
            self._outbox.committed(self.topic_partition, position)

    def _lose(self, why: str) -> None:
        if self._is_ours:
            _log.warning("transactions lost", topic_partition=str(self.topic_partition), why=why)
        self.lost_at_s = self._clock.monotonic_s()

    async def _fail(self, error: Exception, wait_s: float) -> None:
        if self._is_ours and not isinstance(error, StreamprocError):
            _log.warning(
                "transaction failed, it is settled and tried again",
                topic_partition=str(self.topic_partition),
                error=describe_error(error),
            )
        self._not_before_s = self._clock.monotonic_s() + wait_s
        await self._disconnect()

    async def _disconnect(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.close()
