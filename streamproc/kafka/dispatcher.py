"""Events in, handlers started, offsets followed: what one assignment after another asks for.

All of it runs on the event loop's thread, and nothing here waits for a handler but `revoked`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import structlog
from faust.types import TP, EventT

from streamproc.clock import Clock
from streamproc.errors import TooManyFailed, WorkerFault
from streamproc.kafka.attempt_gate import AttemptGate
from streamproc.kafka.backlog import Backlog
from streamproc.kafka.backpressure import Backpressure
from streamproc.kafka.commits import Committer
from streamproc.kafka.consumer_control import ConsumerControl, ours
from streamproc.kafka.faust_app import polled_records
from streamproc.kafka.gated_starts import GatedStarts
from streamproc.kafka.ledger import Found, inherit_marks
from streamproc.kafka.ledger_loading import LedgerLoading, ReadLedger
from streamproc.kafka.offsets import Delivery, OffsetTracker
from streamproc.kafka.requests_in_flight import Handler, Refuse, RequestsInFlight
from streamproc.kafka.transactions import Transactions
from streamproc.messages.dead_letter_bound import DeadLetterBound
from streamproc.messages.lane import Lane
from streamproc.messages.record import Record, TopicPartition

_log = structlog.get_logger(__name__)

COMMIT_TIMEOUT_S: Final = 5.0

Arrived = tuple[Delivery, Record]


@dataclass(frozen=True, slots=True)
class Subscription:
    """A topic of requests, and where they go.

    refuse: what is done with one that can't be handled; None: the worker ends
    publishes_to: the topics without which its requests can't be finished
    starts_at_end: whether a group that has never committed an offset skips what is there
    """

    topic: str
    lane: Lane
    handler: Handler
    refuse: Refuse | None = None
    publishes_to: frozenset[str] = frozenset()
    starts_at_end: bool = False


class Dispatcher:
    """Takes events of the assignment in force, until closed.

    revoke_grace_s: the longest that requests may finish in when their topic-partition leaves
    read_ledger: what the group has committed, and the marks beside it
    transactions: what answers are committed by, with their offsets; None: each is stored before,
        by its handler. `read_ledger` begins them
    bound: of requests that become dead letters by a bug; None: there is none
    fault: done, with a WorkerFault, once a handler kept raising
    """

    def __init__(
        self,
        subscriptions: Sequence[Subscription],
        consumer: ConsumerControl,
        *,
        clock: Clock,
        max_in_flight_bytes: int,
        revoke_grace_s: float,
        read_ledger: ReadLedger,
        transactions: Transactions | None = None,
        bound: DeadLetterBound | None = None,
    ) -> None:
        self._subscriptions = {one.topic: one for one in subscriptions}
        self._consumer = consumer
        self._revoke_grace_s = revoke_grace_s
        self._transactions = transactions
        self._clock = clock
        self._tracker = OffsetTracker()
        self._gate = AttemptGate[Arrived]()
        self._ledger = LedgerLoading(read_ledger, clock, self._loaded)
        self._starts = GatedStarts(self._gate, self._start, self.commit, clock)
        self._at_rest_since_s: float | None = None
        self._backpressure = Backpressure(
            consumer,
            self._tracker,
            {one.topic: one.lane for one in subscriptions},
            max_in_flight_bytes,
        )
        self.budgets = self._backpressure.budgets
        if transactions is not None:
            outbox = transactions.outbox
            outbox.kept, outbox.released = self._backpressure.kept, self._backpressure.let_go
        commit = consumer.commit if transactions is None else transactions.commit
        self.committer = Committer(self._tracker, commit, clock, self._gate, consumer.log_id)
        self.requests = RequestsInFlight(
            clock,
            finished=self._finished,
            ended=self._backpressure.ended,
            failed=self._failed,
            bound=bound,
        )
        self.fault: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.generation: int | None = None
        self.is_open = True
        self._assignments = 0
        self._anew_after = 0
        self._joining_again: asyncio.Task[None] | None = None
        self._is_revoked = False

    @property
    def assigned(self) -> frozenset[TopicPartition]:
        """The topic-partitions whose events are taken."""
        return self._tracker.assigned()

    @property
    def last_error(self) -> str | None:
        """Why nothing is started though topic-partitions are assigned."""
        return self._ledger.last_error

    @property
    def kept_answers(self) -> int:
        """Finished requests whose answers wait for the transaction that commits them."""
        return 0 if self._transactions is None else self._transactions.outbox.waiting

    def accept(self, event: EventT) -> None:
        """Begin with the requests of an event, unless it is of another assignment."""
        message: Any = event.message
        if not self.is_open or message.generation_id != self._consumer.generation:
            return
        if self._is_revoked and (
            message.generation_id == self.generation or self._consumer.is_joining
        ):
            return
        self.follow_assignment()
        tp = TopicPartition(message.topic, message.partition)
        if self._tracker.is_behind(tp, message.after):
            self._begin_anew(tp, message.after)
            return
        taken = []
        # Never waits: a full channel would stall Faust's conductor, and the other lane with it.
        for record in polled_records(event):
            delivery = self._tracker.deliver(tp, record.offset, self._assignments)
            if delivery is None:
                at = record.offset
                _log.info("record in hand or answered", topic_partition=str(tp), offset=at)
                continue
            if self._gate.arrive(tp, record.offset, (delivery, record)):
                self._start((delivery, record))
            else:
                self._gate.bound(tp, self._consumer.end_of)
                self._starts.go_on()
            taken.append(record)
        # Once for all of them: while its lane is full, each would hold back every topic-partition.
        self._backpressure.begun(tp.topic, taken)

    def _begin_anew(self, tp: TopicPartition, offset: int) -> None:
        """Records were handed out and did not come; what follows them would be committed past them.

        Nothing is known to do so: Faust lets go of records where a seek is to follow.
        """
        if self._anew_after != self._assignments:
            self._anew_after = self._assignments
            _log.error("records were lost on their way, reading again", lost=f"{tp}:{offset}")
            self._joining_again = asyncio.create_task(self._consumer.begin_anew())

    def hold(self, topics: Container[str]) -> None:
        """Fetch nothing from request topics that publish to one of these; again from all others.

        Those in flight don't count for their lane meanwhile, which others would find full.
        """
        held = frozenset(
            one.topic
            for one in self._subscriptions.values()
            if any(topic in topics for topic in one.publishes_to)
        )
        kept = None if self._transactions is None else self._transactions.outbox.waiting_of(held)
        self._backpressure.hold(held, self.requests.in_flight_of(held), kept)

    def close(self) -> None:
        """Take no more events; what is in flight goes on."""
        self.is_open = False
        # Before the first assignment there is nothing to pause, and Faust's consumer may be none.
        if self.generation is not None:
            self._backpressure.close()
        self._ledger.cancel()
        self._drop(self._gate.stop(self.assigned))

    def leave(self) -> None:
        """All ends in order: the next commit says so, and no death is counted."""
        self._gate.leave(self.assigned)

    async def stay(self) -> None:
        """Stay in the group though there may be nothing to read; to be called again and again."""
        if self.generation is None:
            return
        self._consumer.stay()
        if self._consumer.is_reading:
            self._at_rest_since_s = None
        elif self._at_rest_since_s is None:
            self._at_rest_since_s = self._clock.monotonic_s()

    @property
    def at_rest_s(self) -> float:
        """How long nothing has been read, as one assignment is over and the next has not begun."""
        since_s = self._at_rest_since_s
        return 0.0 if since_s is None else self._clock.monotonic_s() - since_s

    async def commit(self) -> bool:
        """Commit what has been finished, if anything has been assigned yet; whether all is."""
        if self.generation is None:
            return True
        for tp, read in self._consumer.progress().items():
            if read.position > read.begun_at:
                self._tracker.pass_over(tp, read.last_handed, read.position)
        is_all = await self.committer.commit()
        self._starts.committed()
        return is_all

    def backlog(self, topics: Container[str]) -> Backlog:
        """What is not finished in the topic-partitions assigned of some topics."""
        return sum((self._backlog(tp) for tp in self.assigned if tp.topic in topics), Backlog())

    def _backlog(self, tp: TopicPartition) -> Backlog:
        oldest = self._tracker.oldest_unfinished(tp)
        end = self._consumer.end_of(tp)
        known = (oldest, self._tracker.low_watermark(tp), self._gate.committed(tp), end)
        at = next((offset for offset in known if offset is not None), 0)
        record = None
        if oldest is not None:
            record = self.requests.record_of(Delivery(tp, oldest, self._assignments))
        # The end is that of the last fetch, which a record in hand may be behind.
        waiting = max(0 if end is None else end - at, int(oldest is not None))
        return Backlog(waiting, None if record is None else record.timestamp_ms)

    async def commit_in_time(self) -> None:
        """The same, giving up after five seconds: the broker may be away."""
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT_S):
                while not await self.commit():
                    if self._transactions is None or not self._transactions.is_busy:
                        break
        except TimeoutError:
            times = "twice" if self._transactions is None else "anew, none of them has been"
            _log.warning(f"final commit failed, some requests will be answered {times}")

    def follow_assignment(self) -> None:
        """Begin anew when the group has a new assignment; an event may be first to tell of it.

        The group's generation may stay the same: a member that joins again by itself is given it
        once more, and begins at the committed offsets all the same.
        """
        generation = self._consumer.generation
        if generation == self.generation and not self._is_revoked:
            return
        self.generation = generation
        self._is_revoked = False
        self._assignments += 1
        if self._transactions is not None:
            self._transactions.forget(self.assigned)
        assignment = self._consumer.assignment()
        self.committer.forget()
        self._tracker.assign(assignment, self._assignments)
        self._drop(self._gate.assign(assignment))
        if self.is_open:
            self._ledger.begin(assignment)
        _log.info("topic-partitions assigned", count=len(assignment), generation=generation)

    async def on_rebalance_complete(self, *_: Any, **__: Any) -> None:
        """Faust's signal, sent before it seeks to the committed offsets.

        It may be late: that assignment has been revoked by then, and another is to follow.
        """
        if not self._consumer.is_joining:
            self.follow_assignment()

    async def on_partitions_revoked(self, _app: Any, revoked: set[TP], **_: Any) -> None:
        """Faust's signal: finish what can be finished soon, commit it, and forget the rest."""
        leaving = frozenset(map(ours, revoked))
        # To connect for transactions now would end what the next owner has under way.
        self._ledger.cancel()
        self._drop(self._gate.stop(leaving))
        await self.requests.drain(self._revoke_grace_s, among=leaving)
        self._gate.leave(leaving)
        await self.commit_in_time()
        self._tracker.revoke(leaving)
        self._drop(self._gate.forget(leaving))
        if self._transactions is not None:
            self._transactions.forget(leaving)
        self._is_revoked = True
        # An event that came meanwhile may have been the first to tell of what is revoked here.
        self._ledger.cancel()
        cancelled = await self.requests.cancel(among=leaving)
        _log.info("topic-partitions revoked", count=len(leaving), cancelled=cancelled)

    def _loaded(self, left: Found) -> None:
        """Pass over what is answered already; with transactions, all before what is committed.

        The consumer may have begun before that. Without the ledger nothing is started.
        """
        for tp, (committed, _, finished) in left.items():
            at = 0 if self._transactions is None else committed or 0
            self._tracker.begin_at(tp, at, finished)
            self.committer.begin(tp, finished)
            self._drop(self._gate.pass_answered(tp, at, finished))
        self._gate.load(inherit_marks(left))
        self._starts.begin()

    def _start(self, arrived: Arrived, deaths: int = 0) -> None:
        """deaths: of processes that had it in hand"""
        delivery, record = arrived
        subscription = self._subscriptions[record.topic]
        handler, refuse = subscription.handler, subscription.refuse
        if deaths and refuse is not None:
            handler = partial(_refuse_lethal, refuse, deaths)
        if self._transactions is not None:
            outbox = self._transactions.outbox
            handler = outbox.collecting(delivery, handler)
            refuse = None if refuse is None else outbox.collecting(delivery, refuse)
        self.requests.start(delivery, record, handler, refuse)

    def _drop(self, dropped: Sequence[Arrived]) -> None:
        """Let go of what waited and will not be started here."""
        for delivery, record in dropped:
            self._backpressure.ended(delivery, record)

    def _finished(self, delivery: Delivery) -> None:
        # One of an earlier assignment may end after its record was started again in this one.
        is_current = self._tracker.finish(delivery)
        if self._transactions is not None:
            self._transactions.outbox.finish(delivery, is_current=is_current)
        if is_current:
            self._gate.finished(delivery.topic_partition, delivery.offset)
            self.committer.note()
        self._starts.go_on_soon()

    def fail(self, fault: WorkerFault) -> None:
        """Make the worker end with this."""
        if not self.fault.done():
            self.fault.set_exception(fault)

    def _failed(self, record: Record, error: Exception) -> None:
        if not isinstance(error, TooManyFailed):
            error = WorkerFault(
                f"the request at {record.position} can't be handled: {type(error).__name__}; "
                "its offset is not committed"
            )
        self.fail(error)


async def _refuse_lethal(refuse: Refuse, deaths: int, record: Record) -> None:
    _log.error("request crashes the worker, dead-lettered", position=record.position, deaths=deaths)
    await refuse(
        record,
        "ended the worker",
        f"the worker's process ended {deaths} times with it in hand, the last times with no other",
    )
