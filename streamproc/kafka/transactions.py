"""Exactly once: the answers of finished requests and the offset behind them, committed together.

For each topic-partition that is assigned:

1. A producer connects under the topic-partition's own id. That ends every transaction of an earlier
   owner, and none of his can begin any more.
2. Only then the committed position is read. What lies before it is answered; nothing of it is
   handled here, wherever the consumer begins.
3. A transaction holds the low watermark and the answers of all before it that are not committed
   yet. An answer behind it waits: whether it was published, the committed position could not say.
4. Where one fails it is not known whether it is committed. Another producer connects, which settles
   that, and the position is read again: that of this transaction, or the one before it, and it is
   gone on from there. Any other is another worker's, and nothing more is committed here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Final

import structlog

from streamproc.clock import Clock
from streamproc.errors import OperatorError, StreamprocError, WorkerFault
from streamproc.kafka.commits import Position
from streamproc.kafka.outbox import Outbox
from streamproc.kafka.topic_troubles import TopicTroubles
from streamproc.kafka.transactional_producer import Fenced, Rejected, TransactionalProducer
from streamproc.logs.redaction import describe_error
from streamproc.messages.record import TopicPartition

_log = structlog.get_logger(__name__)

COMMIT_WAIT_S: Final = 2.0
"""How long all topic-partitions wait for the slowest of them."""
CONNECTING: Final = 16
"""Producers that connect at a time."""
FAILED_WAIT_S: Final = 1.0

Connect = Callable[[TopicPartition], Awaitable[TransactionalProducer]]
ReadPositions = Callable[
    [Collection[TopicPartition]], Awaitable[Mapping[TopicPartition, Position | None]]
]


class Transactions:
    """Those of the topic-partitions assigned.

    connect: ends what others have under way for a topic-partition; raises OperatorError where
        somebody has to change something
    read_positions: what the group has committed, or None
    fenced_s: how long the group may take to say that a topic-partition is another worker's
    """

    def __init__(
        self,
        outbox: Outbox,
        troubles: TopicTroubles,
        clock: Clock,
        *,
        connect: Connect,
        read_positions: ReadPositions,
        fenced_s: float,
    ) -> None:
        self.outbox = outbox
        self._troubles = troubles
        self._clock = clock
        self._connect = connect
        self._read_positions = read_positions
        self._fenced_s = fenced_s
        self._partitions: dict[TopicPartition, PartitionTransactions] = {}
        self._running: dict[TopicPartition, asyncio.Task[Position | None]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._refusal: OperatorError | None = None

    async def begin(
        self, topic_partitions: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, Position | None]:
        """Be the only one to commit these from now on; returns what is committed of them.

        Raises whatever Kafka's client does; to be tried again then.
        """
        self.forget(list(self._partitions))
        made: dict[TopicPartition, PartitionTransactions] = {}
        turns = asyncio.Semaphore(CONNECTING)

        async def connect(tp: TopicPartition) -> None:
            one = PartitionTransactions(
                tp, self.outbox, self._troubles, self._clock, self._connect, self._read_positions
            )
            made[tp] = one
            async with turns:
                await one.connect()

        try:
            async with asyncio.TaskGroup() as group:
                for tp in topic_partitions:
                    group.create_task(connect(tp))
            positions = await self._read_positions(topic_partitions)
        except BaseException as error:
            self._close(made.values())
            raise self._told(error) from None
        for tp, one in made.items():
            one.stored = positions.get(tp)
        self._partitions = made
        return positions

    async def commit(
        self, positions: Mapping[TopicPartition, Position]
    ) -> Mapping[TopicPartition, Position]:
        """Commit positions, each with the answers before it; returns those that are committed.

        A topic-partition whose transaction takes long is told of by a later call.
        """
        for tp, position in positions.items():
            one = self._partitions.get(tp)
            if one is not None and tp not in self._running and one.may_try:
                self._running[tp] = asyncio.create_task(one.commit(position))
        if self._running:
            await asyncio.wait(self._running.values(), timeout=COMMIT_WAIT_S)
        stored = {}
        for tp, task in list(self._running.items()):
            if task.done():
                del self._running[tp]
                committed = task.result()
                if committed is not None:
                    stored[tp] = committed
        return stored

    @property
    def is_busy(self) -> bool:
        """Whether a transaction is under way that `commit` did not wait for."""
        return bool(self._running)

    def forget(self, topic_partitions: Iterable[TopicPartition]) -> None:
        """These are no longer ours: what is not committed of them is dropped."""
        left = list(topic_partitions)
        self._close([self._partitions.pop(tp) for tp in left if tp in self._partitions])
        for tp in left:
            self._running.pop(tp, None)
        self.outbox.forget(left)

    async def close(self) -> None:
        """Disconnect all."""
        self.forget(list(self._partitions))
        if self._closing:
            await asyncio.wait(self._closing)

    def check(self) -> None:
        """Raise what the worker has to end by: OperatorError, or WorkerFault when it lost a place.

        One that was fenced may not know yet that the group has moved on, and begins anew once it
        does; where it is not told so, the brokers gave its producer up, and only a start helps.
        """
        if self._refusal is not None:
            raise self._refusal
        now_s = self._clock.monotonic_s()
        for tp, one in self._partitions.items():
            if one.lost_at_s is not None and now_s - one.lost_at_s > self._fenced_s:
                raise WorkerFault(
                    f"transactions of {tp} are another worker's, or were aborted by the brokers "
                    "after STREAMPROC_TRANSACTION_TIMEOUT_S; nothing of what it had in hand is "
                    "committed; start it again"
                )

    def _close(self, partitions: Iterable[PartitionTransactions]) -> None:
        for one in partitions:
            closing = asyncio.create_task(one.close(self._running.get(one.topic_partition)))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def _told(self, error: BaseException) -> BaseException:
        """The first of several; one that needs somebody is kept for `check`."""
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if isinstance(error, OperatorError):
            self._refusal = error
        return error


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
            kept = self._outbox.below(self.topic_partition, position.offset)
            self._attempted = position
            await self._producer.store([one.record for one in kept], position)
        except Fenced:
            self._lose("another producer has connected, or the brokers gave this one up")
        except Rejected as rejected:
            self._outbox.spare(self.topic_partition, rejected.topic)
            wait_s = self._troubles.failed(rejected.topic, self, rejected.reason)
            await self._fail(rejected, wait_s)
        except Exception as error:  # noqa: BLE001 - Kafka's clients raise a great many
            await self._fail(error, FAILED_WAIT_S)
        else:
            self._at(position)
            for topic in {one.record.topic for one in kept}:
                self._troubles.stored(topic)
                self._troubles.gone(topic, self)
            return position
        return None

    async def close(self, running: asyncio.Task[Position | None] | None = None) -> None:
        """Give it up. running: what it still commits"""
        self._is_ours = False
        for topic in self._troubles.reasons():
            self._troubles.gone(topic, self)
        if running is not None:
            # One that connects again would end what the next owner has under way.
            await asyncio.wait({running}, timeout=0 if self._is_settling else COMMIT_WAIT_S)
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

    def _at(self, position: Position) -> None:
        self.stored, self._attempted = position, None
        if self._is_ours:
            self._outbox.committed(self.topic_partition, position.offset)

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
