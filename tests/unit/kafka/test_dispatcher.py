"""What the attempt ledger asks of the intake, on a consumer that is a few lists."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any, cast

from faust.types import TP as FAUST_TP

from streamproc.clock import Clock, SystemClock
from streamproc.kafka.attempts import Mark
from streamproc.kafka.commits import Position
from streamproc.kafka.dispatcher import Dispatcher, Subscription
from streamproc.kafka.gated_starts import ALONE_S
from streamproc.kafka.ledger import Found, Left
from streamproc.kafka.ledger_loading import ReadLedger
from streamproc.kafka.outbox import Outbox
from streamproc.kafka.transactions import Transactions
from streamproc.kafka.worker_status import WorkerStatus
from streamproc.messages.lane import Lane
from streamproc.messages.record import Record, TopicPartition
from streamproc.testing import ManualClock

TP = TopicPartition("rq", 0)


class Consumer:
    """Assigned `TP` in generation 1; what is committed can be held up."""

    def __init__(self) -> None:
        self.generation = 1
        self.positions: list[Position] = []
        self.begun_anew = 0
        self.is_joining = False
        self.is_reading = True
        self.open = asyncio.Event()
        self.open.set()

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset([TP])

    def pause(self, topic_partitions: Iterable[TopicPartition]) -> None:
        pass

    def resume(self, topic_partitions: Iterable[TopicPartition]) -> None:
        pass

    async def begin_anew(self) -> None:
        self.begun_anew += 1

    def stay(self) -> None:
        pass

    def progress(self) -> Mapping[TopicPartition, Any]:
        return {}

    def log_id(self, topic: str) -> str | None:
        return None

    def end_of(self, tp: TopicPartition) -> int | None:
        return None

    async def commit(
        self, positions: Mapping[TopicPartition, Position]
    ) -> Mapping[TopicPartition, Position]:
        await self.open.wait()
        self.positions.append(positions[TP])
        return positions


class Scene:
    """A dispatcher whose handlers wait until they are let go on, by offset."""

    def __init__(
        self,
        *ledgers: Found | Exception,
        clock: Clock | None = None,
        transactions: Transactions | None = None,
        read: ReadLedger | None = None,
    ) -> None:
        self.consumer = cast("Any", Consumer())
        self.started: list[int] = []
        self.refused: list[tuple[int, str]] = []
        self.go_on = asyncio.Event()
        self._ledgers = list(ledgers)
        self.dispatcher = Dispatcher(
            [Subscription("rq", Lane.INTERACTIVE, self._handle, refuse=self._refuse)],
            self.consumer,
            clock=clock or SystemClock(),
            max_in_flight_bytes=1 << 26,
            revoke_grace_s=5,
            read_ledger=read or self._read,
            transactions=transactions,
        )

    def arrive(self, *offsets: int, after: int = -1) -> None:
        """after: the last one handed out before them"""
        records = [
            SimpleNamespace(
                topic="rq", partition=0, offset=offset, timestamp=1000, key=None, value=b"x",
                headers=(),
            )
            for offset in offsets
        ]  # fmt: skip
        message = SimpleNamespace(
            topic="rq", partition=0, generation_id=self.consumer.generation, records=records,
            after=after,
        )  # fmt: skip
        event: Any = SimpleNamespace(message=message)
        self.dispatcher.accept(event)

    async def settle(self) -> None:
        for _ in range(50):
            await asyncio.sleep(0)

    async def _read(self, _: frozenset[TopicPartition]) -> Found:
        ledger = self._ledgers.pop(0) if len(self._ledgers) > 1 else self._ledgers[0]
        if isinstance(ledger, Exception):
            raise ledger
        return ledger

    async def _handle(self, record: Record) -> None:
        self.started.append(record.offset)
        await self.go_on.wait()

    async def _refuse(self, record: Record, title: str, detail: str) -> None:
        self.refused.append((record.offset, title))


async def test_nothing_is_started_before_the_ledger_says_that_somebody_is_at_work() -> None:
    scene = Scene({TP: Left(7, Mark())})
    scene.consumer.open.clear()
    scene.arrive(7, 8)
    await scene.settle()
    assert scene.started == []
    scene.consumer.open.set()
    await scene.settle()

    assert scene.started == [7, 8]
    assert scene.consumer.positions[0].offset == 7
    assert Mark.decode(scene.consumer.positions[0].metadata).running
    scene.arrive(9)
    await scene.settle()
    assert scene.started == [7, 8, 9]


async def test_a_ledger_that_can_not_be_read_is_tried_again_and_told() -> None:
    scene = Scene(ConnectionError("away"), {TP: Left(None, Mark())})
    scene.arrive(3)
    await scene.settle()
    assert scene.started == []
    assert (
        scene.dispatcher.last_error
        == "reading the group's committed offsets failed: ConnectionError"
    )
    await asyncio.sleep(0.3)
    await scene.settle()

    assert scene.started == [3]
    assert scene.dispatcher.last_error is None


async def test_what_an_earlier_assignment_still_had_under_way_ends_nothing_of_this_one() -> None:
    left = Mark(running=True, taken=1024, deaths=2, end=40, single=12, group=(5, 9))
    scene = Scene({TP: Left(5, left)})
    scene.arrive(5, 6)
    await scene.settle()
    assert scene.started == [5]
    scene.consumer.generation = 2
    scene.arrive(5, 6)
    await scene.settle()
    assert scene.started == [5, 5]
    # The first of the two is over, the second is not: 6 must not be started beside it.
    (stale, *_) = scene.dispatcher.requests._tasks.items()
    scene.dispatcher._finished(stale[0])
    await scene.settle()
    assert scene.started == [5, 5]
    scene.go_on.set()
    await scene.settle()

    assert scene.started == [5, 5, 6]


async def test_a_record_that_the_process_died_of_alone_twice_is_given_up_on() -> None:
    left = Mark(
        running=True, deaths=3, end=40, single=8, group=(5, 5), alone=True,
        suspect=5, alone_deaths=1,
    )  # fmt: skip
    scene = Scene({TP: Left(5, left)})
    scene.go_on.set()
    scene.arrive(5, 6, 7, 8)
    await scene.settle()

    assert scene.refused == [(5, "ended the worker")]
    assert scene.started == [6, 7, 8]


async def test_time_that_kafka_takes_to_store_a_mark_is_not_the_records() -> None:
    """Else the next death is not counted as its own, and one worker more dies of it."""
    clock = ManualClock()
    left = Mark(running=True, deaths=2, end=40, single=8, group=(5, 7))
    scene = Scene({TP: Left(5, left)}, clock=clock)
    scene.consumer.open.clear()
    scene.arrive(5, 6, 7, 8)
    await scene.settle()
    clock.advance(ALONE_S + 1)
    scene.consumer.open.set()
    await scene.settle()

    assert scene.started == [5]
    mark = Mark.decode(scene.consumer.positions[-1].metadata)
    assert (mark.group, mark.alone) == ((5, 5), True)


async def test_all_else_does_not_wait_for_ever_for_one_that_runs_alone() -> None:
    clock = ManualClock()
    left = Mark(running=True, deaths=2, end=40, single=6, group=(5, 5))
    scene = Scene({TP: Left(5, left)}, clock=clock)
    scene.arrive(5, 6, 7)
    await scene.settle()
    assert scene.started == [5]
    clock.advance(ALONE_S + 1)
    await scene.dispatcher.commit()
    await scene.settle()

    assert not Mark.decode(scene.consumer.positions[-1].metadata).alone


class Stored:
    """Transactions that are stored at once, and what was begun and forgotten."""

    def __init__(self) -> None:
        self.outbox = Outbox(cast("Any", None), ManualClock())
        self.forgotten: list[frozenset[TopicPartition]] = []
        self.positions: list[Position] = []
        self.is_busy = False

    async def commit(
        self, positions: Mapping[TopicPartition, Position]
    ) -> Mapping[TopicPartition, Position]:
        self.positions += positions.values()
        return positions

    def forget(self, topic_partitions: Iterable[TopicPartition]) -> None:
        self.forgotten.append(frozenset(topic_partitions))


async def test_what_lies_before_the_position_of_transactions_is_answered_already() -> None:
    """The consumer asks at another time what is committed, and may begin before it."""
    stored = Stored()
    scene = Scene({TP: Left(7, Mark())}, transactions=cast("Any", stored))
    scene.go_on.set()
    scene.arrive(5, 6, 7)
    await scene.settle()
    scene.arrive(3, 8)
    await scene.settle()
    await scene.dispatcher.commit()

    assert scene.started == [7, 8]
    assert [position.offset for position in stored.positions] == [7, 9]
    assert scene.dispatcher.budgets[Lane.INTERACTIVE].in_flight_bytes == 0


async def test_nobody_connects_for_what_is_leaving() -> None:
    stored = Stored()
    reading = asyncio.Event()

    async def read(_: frozenset[TopicPartition]) -> Found:
        await reading.wait()
        raise AssertionError("it went on for what another has by now")

    scene = Scene(transactions=cast("Any", stored), read=read)
    scene.arrive(7)
    await scene.settle()
    await scene.dispatcher.on_partitions_revoked(None, {FAUST_TP("rq", 0)})
    reading.set()
    await scene.settle()

    assert scene.dispatcher.last_error is None
    assert stored.forgotten[-1] == frozenset([TP])


async def test_nobody_connects_for_an_assignment_that_was_revoked_before_it_was_told() -> None:
    asked: list[frozenset[TopicPartition]] = []

    async def read(topic_partitions: frozenset[TopicPartition]) -> Found:
        asked.append(topic_partitions)
        return {TP: Left(7, Mark())}

    scene = Scene(transactions=cast("Any", Stored()), read=read)
    scene.arrive(7)
    await scene.settle()
    scene.consumer.is_joining = True
    await scene.dispatcher.on_partitions_revoked(None, {FAUST_TP("rq", 0)})
    await scene.dispatcher.on_rebalance_complete()
    scene.consumer.generation = 2
    scene.arrive(8)
    await scene.settle()
    assert asked == [frozenset([TP])]

    scene.consumer.is_joining = False
    await scene.dispatcher.on_rebalance_complete()
    await scene.settle()
    assert asked == [frozenset([TP])] * 2


async def test_a_worker_that_is_not_let_read_for_long_is_not_ready() -> None:
    clock = ManualClock()
    scene = Scene({TP: Left(7, Mark())}, clock=clock)
    healthy: Any = SimpleNamespace(
        last_error=None, troubles=SimpleNamespace(reasons=dict[str, str])
    )
    status = WorkerStatus(healthy, ready_lag_s=30)
    status._dispatcher = scene.dispatcher
    scene.arrive(7)
    await scene.settle()

    for is_reading, passed_s, reasons in [
        (True, 60.0, []),
        (False, 60.0, []),
        (False, 29.0, []),
        (False, 2.0, ["the group has not let it read for 31 s"]),
        (True, 1.0, []),
    ]:
        await clock.sleep(passed_s)
        scene.consumer.is_reading = is_reading
        await scene.dispatcher.stay()
        assert status.not_ready() == reasons


async def test_an_end_in_order_leaves_a_mark_that_counts_no_death() -> None:
    scene = Scene({TP: Left(7, Mark())})
    scene.go_on.set()
    scene.arrive(7)
    await scene.settle()
    scene.dispatcher.close()
    scene.dispatcher.leave()
    await scene.dispatcher.commit_in_time()

    assert scene.consumer.positions[-1].offset == 8
    assert not Mark.decode(scene.consumer.positions[-1].metadata).running


async def test_records_that_were_handed_out_and_did_not_come_are_read_again() -> None:
    scene = Scene({TP: Left(7, Mark())})
    scene.go_on.set()
    scene.arrive(7, 8)
    scene.arrive(9, after=8)
    await scene.settle()
    assert scene.started == [7, 8, 9]
    # 10 to 12 were handed out, and this is all that comes.
    scene.arrive(13, after=12)
    scene.arrive(14, after=13)
    await scene.settle()
    await scene.dispatcher.commit()
    assert scene.started == [7, 8, 9]
    assert scene.consumer.begun_anew == 1
    assert scene.consumer.positions[-1].offset == 10

    scene.consumer.generation = 2
    scene.arrive(10, 11, 12, 13)
    await scene.settle()
    assert scene.started == [7, 8, 9, 10, 11, 12, 13]


async def test_what_lies_before_the_committed_offset_is_not_missed() -> None:
    scene = Scene({TP: Left(7, Mark())})
    scene.go_on.set()
    scene.arrive(7)
    await scene.settle()
    scene.consumer.generation = 2
    # The consumer began before what is committed, as one that has been shown an older offset.
    scene.arrive(5, 6)
    scene.arrive(7, after=6)
    await scene.settle()
    assert scene.consumer.begun_anew == 0
