"""Exactly once as a state machine: two workers that take one topic-partition from each other."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Container, Mapping, Sequence
from typing import Any, cast

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from streamproc.errors import Invalid, RefusedRecord
from streamproc.kafka.commits import Committer, Position
from streamproc.kafka.offsets import Delivery, OffsetTracker
from streamproc.kafka.outbox import Outbox
from streamproc.kafka.topic_troubles import TopicTroubles
from streamproc.kafka.transactional_producer import Fenced, Rejected
from streamproc.kafka.transactions import Transactions
from streamproc.messages.record import ProducerRecord, Record, TopicPartition
from streamproc.testing import ManualClock

TP = TopicPartition("rq", 0)
OUTCOMES = ["committed", "answer lost", "aborted", "rejected", "taken over"]


class Log:
    """What Kafka keeps: who may commit, how far that came, and the answers committed."""

    def __init__(self) -> None:
        self.epoch = 0
        self.position: Position | None = None
        self.answers: list[tuple[str, int]] = []
        self.refused: set[int] = set()
        self.outcome = "committed"
        self.refuses_connections = False

    async def connect(self, _: TopicPartition) -> LogProducer:
        if self.refuses_connections:
            raise ConnectionError
        self.epoch += 1
        return LogProducer(self, self.epoch)

    async def read(self, _: Collection[TopicPartition]) -> Mapping[TopicPartition, Position | None]:
        return {TP: self.position}


class LogProducer:
    """Stores as the log's `outcome` says, if nobody has connected since."""

    def __init__(self, log: Log, epoch: int) -> None:
        self._log = log
        self._epoch = epoch

    async def store(
        self, records: Sequence[ProducerRecord], position: Position, alone: Container[str] = ()
    ) -> None:
        log = self._log
        if log.outcome == "taken over":
            log.epoch += 1
        if log.epoch != self._epoch:
            raise Fenced
        if log.outcome == "rejected" and records:
            raise Rejected(records[0], "there is none")
        refused = [one for one in records if one.topic == "rs" and offset_of(one) in log.refused]
        if refused:
            # Of a batch, a broker does not say which of its records it was.
            named = refused[0] if "rs" in alone else records[0]
            raise Rejected(named, "it refuses a record", RefusedRecord("refused", "its timestamp"))
        if log.outcome == "aborted":
            raise ConnectionError
        log.position = position
        log.answers += [(record.topic, offset_of(record)) for record in records]
        if log.outcome == "answer lost":
            raise ConnectionError

    async def close(self) -> None:
        pass


def offset_of(record: ProducerRecord) -> int:
    """The offset of the request that it answers."""
    return int(record.value or b"")


async def a_turn_later(topic_partitions: Collection[TopicPartition]) -> Collection[TopicPartition]:
    """All of them, after a broker was asked."""
    await asyncio.sleep(0)
    return topic_partitions


class NoMarks:
    """Nothing is kept beside offsets."""

    def metadata(self, tp: TopicPartition, *, moved: bool = False) -> str | None:
        return "" if moved else None

    def committed(self, tp: TopicPartition) -> int | None:
        return None

    def stored(self, tp: TopicPartition, metadata: str) -> None:
        pass


class SimulatedWorker:
    """What the dispatcher does with tracker, outbox and transactions."""

    def __init__(self, log: Log, clock: ManualClock) -> None:
        self.tracker = OffsetTracker()
        self.outbox = Outbox(cast("Any", Unlimited()), clock)
        self.transactions = Transactions(
            self.outbox,
            TopicTroubles(),
            clock,
            connect=log.connect,
            read_positions=log.read,
            fenced_s=10,
            of_now=a_turn_later,
        )
        self.committer = Committer(self.tracker, self.transactions.commit, clock, NoMarks())
        self.generation = 0
        self.next_offset = 0
        self.in_hand: list[Delivery] = []

    async def begin(self, starts_before: int) -> None:
        """Be assigned; the consumer may begin before what is committed."""
        self.generation += 1
        self.transactions.forget([TP])
        self.committer.forget()
        self.tracker.assign([TP], self.generation)
        try:
            position = (await self.transactions.begin([TP]))[TP]
        except ConnectionError:
            self.tracker.revoke([TP])
            return
        at = position.offset if position else 0
        finished = position.finished if position else frozenset()
        self.tracker.begin_at(TP, at, finished)
        self.committer.begin(TP, finished)
        self.next_offset = max(0, at - starts_before)

    def take(self) -> None:
        offset = self.next_offset
        delivery = self.tracker.deliver(TP, offset, self.generation)
        self.next_offset = offset + 1
        if delivery is not None:
            self.in_hand.append(delivery)

    async def finish(self, delivery: Delivery, *, raises: bool) -> None:
        """Answer one, perhaps after a try that published and then failed."""

        async def handler(record: Record) -> None:
            await again(record)
            if raises:
                raise RuntimeError

        async def again(record: Record) -> None:
            offset = b"%d" % record.offset

            def letter(_: Invalid) -> ProducerRecord:
                return ProducerRecord("dead", None, offset)

            await self.outbox.send(ProducerRecord("rs", None, offset, instead=letter))

        record = Record(TP.topic, TP.topic_partition, delivery.offset, 0, None, b"")
        if raises:
            await asyncio.gather(
                self.outbox.collecting(delivery, handler)(record), return_exceptions=True
            )
        await self.outbox.collecting(delivery, again)(record)
        self.in_hand.remove(delivery)
        self.outbox.finish(delivery, is_current=self.tracker.finish(delivery))

    async def revoke(self) -> None:
        await self.committer.commit()
        self.tracker.revoke([TP])
        self.transactions.forget([TP])


class Unlimited:
    """A producer that takes records of any size."""

    def refuse_size(self, record: ProducerRecord) -> None:
        pass


WORKER = st.integers(0, 1)
# Mostly that all goes well, else no position gets far.
OUTCOME = st.sampled_from(["committed"] * 4 + OUTCOMES)


class ExactlyOnce(RuleBasedStateMachine):
    """Workers are assigned, answer, commit, fail and lose, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.log = Log()
        self.clock = ManualClock()
        self.workers = [SimulatedWorker(self.log, self.clock) for _ in range(2)]

    def teardown(self) -> None:
        for worker in self.workers:
            self.loop.run_until_complete(worker.transactions.close())
        self.loop.close()

    @initialize(worker=WORKER)
    def first(self, worker: int) -> None:
        self.loop.run_until_complete(self.workers[worker].begin(0))

    @rule(worker=WORKER, starts_before=st.integers(0, 3), fails=st.booleans())
    def assign(self, worker: int, starts_before: int, fails: bool) -> None:
        """The other one need not have been told: it was paused."""
        self.log.refuses_connections = fails
        self.loop.run_until_complete(self.workers[worker].begin(starts_before))
        self.log.refuses_connections = False

    @precondition(lambda self: any(worker.in_hand for worker in self.workers))
    @rule(data=st.data(), raises=st.booleans())
    def finish(self, data: st.DataObject, raises: bool) -> None:
        worker = data.draw(st.sampled_from([one for one in self.workers if one.in_hand]))
        delivery = data.draw(st.sampled_from(worker.in_hand))
        self.loop.run_until_complete(worker.finish(delivery, raises=raises))

    @rule(worker=WORKER, finished=st.permutations(range(4)), kept=st.integers(0, 2))
    def answer(self, worker: int, finished: Sequence[int], kept: int) -> None:
        """Some come and are answered in another order, all but a few."""
        one = self.workers[worker]
        had = len(one.in_hand)
        for _ in finished:
            one.take()
        came = one.in_hand[had:]
        for number in finished[kept:]:
            if number < len(came):
                self.loop.run_until_complete(one.finish(came[number], raises=False))

    @rule(worker=WORKER, outcome=OUTCOME, finished=st.permutations(range(4)))
    def take_over_after_a_commit(self, worker: int, outcome: str, finished: Sequence[int]) -> None:
        """The other one commits as may be, and this one goes on where it came to."""
        self.commit(1 - worker, outcome)
        self.assign(worker, 0, fails=False)
        self.answer(worker, finished, 0)
        self.commit(worker, "committed")

    @rule(offset=st.integers(0, 20))
    def refuse(self, offset: int) -> None:
        """The topic will not take the answer to a request, if that is not committed yet."""
        if ("rs", offset) not in self.log.answers:
            self.log.refused.add(offset)

    @rule(worker=WORKER)
    def answer_and_commit_all(self, worker: int) -> None:
        """No answer that is refused holds up the others, or itself."""
        one = self.workers[worker]
        for delivery in list(one.in_hand):
            self.loop.run_until_complete(one.finish(delivery, raises=False))
        tries = 2 * one.outbox.waiting + 2
        while one.outbox.waiting and tries:
            self.commit(worker, "committed")
            tries -= 1
        is_lost = any(p.lost_at_s is not None for p in one.transactions._partitions.values())
        assert is_lost or not one.outbox.waiting

    @rule(worker=WORKER, outcome=OUTCOME)
    def commit(self, worker: int, outcome: str) -> None:
        self.clock.advance(5)
        self.log.outcome = outcome
        self.loop.run_until_complete(self.workers[worker].committer.commit())
        self.log.outcome = "committed"

    @rule(
        worker=WORKER, outcome=OUTCOME, turns=st.integers(0, 6), finished=st.permutations(range(4))
    )
    def assign_during_a_commit(
        self, worker: int, outcome: str, turns: int, finished: Sequence[int]
    ) -> None:
        """The group moves on wherever a commit is, and is the first to say so."""
        one = self.workers[worker]
        self.answer(worker, finished, 0)

        async def both() -> None:
            committing = asyncio.create_task(one.committer.commit())
            for _ in range(turns):
                await asyncio.sleep(0)
            await one.begin(0)
            await committing

        self.clock.advance(5)
        self.log.outcome = outcome
        self.loop.run_until_complete(both())
        self.log.outcome = "committed"

    @rule(worker=WORKER, outcome=OUTCOME)
    def revoke(self, worker: int, outcome: str) -> None:
        self.log.outcome = outcome
        self.loop.run_until_complete(self.workers[worker].revoke())
        self.log.outcome = "committed"

    @invariant()
    def what_is_committed_is_answered_once_and_nothing_else_is(self) -> None:
        position = self.log.position or Position(0)
        said = [*range(position.offset), *position.finished]
        assert Counter(offset for _, offset in self.log.answers) == Counter(said)
        assert all((topic == "dead") == (at in self.log.refused) for topic, at in self.log.answers)


ExactlyOnce.TestCase.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
TestExactlyOnce = ExactlyOnce.TestCase
