"""Exactly once: the answers of finished requests and the offset behind them, committed together.

For each topic-partition that is assigned:

1. A producer connects under the topic-partition's own id. That ends every transaction of an earlier
   owner, and none of his can begin any more.
2. Only then the committed position is read. What lies before it is answered; nothing of it is
   handled here, wherever the consumer begins.
3. A transaction holds a position and the answers of all that it says is finished: what lies before
   its offset, and what its metadata names. Another answer waits: after a crash nobody could know
   whether it was published.
4. Where one fails it is not known whether it is committed. Another producer connects, which settles
   that, and the position is read again: that of this transaction, or the one before it, and it is
   gone on from there. Any other is another worker's, and nothing more is committed here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Container, Iterable, Mapping
from typing import Final

from streamproc.clock import Clock
from streamproc.errors import OperatorError, WorkerFault
from streamproc.kafka.commits import Position
from streamproc.kafka.outbox import Outbox
from streamproc.kafka.partition_transactions import Connect, PartitionTransactions, ReadPositions
from streamproc.kafka.topic_troubles import TopicTroubles
from streamproc.messages.record import TopicPartition

COMMIT_WAIT_S: Final = 2.0
"""How long all topic-partitions wait for the slowest of them."""
CONNECTING: Final = 16
"""Producers that connect at a time."""

OfNow = Callable[[Collection[TopicPartition]], Awaitable[Container[TopicPartition]]]


class Transactions:
    """Those of the topic-partitions assigned.

    connect: ends what others have under way for a topic-partition; raises OperatorError where
        somebody has to change something
    read_positions: what the group has committed, or None
    of_now: those topic-partitions whose log is still the one that was begun with. Asked before each
        commit: what has been answered by then is of a log that was there then
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
        of_now: OfNow | None = None,
    ) -> None:
        self.outbox = outbox
        self._troubles = troubles
        self._clock = clock
        self._connect = connect
        self._read_positions = read_positions
        self._fenced_s = fenced_s
        self._of_now = of_now
        self._partitions: dict[TopicPartition, PartitionTransactions] = {}
        self._running: dict[TopicPartition, asyncio.Task[Position | None]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._refusal: OperatorError | None = None
        self._is_closed = False

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

        connecting = [asyncio.create_task(connect(tp)) for tp in topic_partitions]
        try:
            await asyncio.gather(*connecting)
            positions = await self._read_positions(topic_partitions)
        except BaseException as error:
            for task in connecting:
                task.cancel()
            self._close(made.values())
            if isinstance(error, OperatorError):
                self._refusal = error
            raise
        if self._is_closed:
            self._close(made.values())
            return {}
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
        asked = dict(self._partitions)
        current = await self._current(positions)
        for tp, position in positions.items():
            one = asked.get(tp) if tp in current else None
            # In an assignment that has begun meanwhile no answers are kept that go with these.
            if one is None or self._partitions.get(tp) is not one:
                continue
            if tp not in self._running and one.may_try:
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

    async def _current(
        self, topic_partitions: Collection[TopicPartition]
    ) -> Container[TopicPartition]:
        if self._of_now is None:
            return topic_partitions
        try:
            return await asyncio.wait_for(self._of_now(topic_partitions), COMMIT_WAIT_S)
        except TimeoutError:
            return ()

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
        """Disconnect all; nothing is begun afterwards."""
        self._is_closed = True
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
            # At once: a commit of it that has not begun yet would find its answers gone.
            one.give_up()
            closing = asyncio.create_task(one.close(self._running.get(one.topic_partition)))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
