"""The worker: Faust brings events, handlers answer them, only the finished prefix is committed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import Any, Final

import structlog
from faust.types import EventT

from streamproc.clock import Clock
from streamproc.errors import (
    BrokerUnavailable,
    NoKafka,
    OperatorError,
    TooManyFailed,
    TopicsError,
    WorkerFault,
)
from streamproc.kafka.backoff import keep_connecting
from streamproc.kafka.consumer_control import ConsumerControl
from streamproc.kafka.dispatcher import Dispatcher, Subscription
from streamproc.kafka.faust_app import build_app
from streamproc.kafka.ledger import Found, decoded, read_ledger, read_positions
from streamproc.kafka.ledger_loading import ReadLedger
from streamproc.kafka.outbox import Outbox
from streamproc.kafka.producer import Producer
from streamproc.kafka.running_app import RunningApp
from streamproc.kafka.topic_admin import TopicAdmin
from streamproc.kafka.transactional_producer import KafkaTransactions, TransactionalProducer
from streamproc.kafka.transactions import Transactions
from streamproc.kafka.worker_status import WorkerStatus
from streamproc.messages.dead_letter_bound import DeadLetterBound
from streamproc.messages.lane import Lane
from streamproc.messages.record import TopicPartition
from streamproc.settings import Settings

_log = structlog.get_logger(__name__)

COMMIT_INTERVAL_S: Final = 0.1
PROBE_INTERVAL_S: Final = 2.0
LOOK_INTERVAL_S: Final = 1.0
REVOKE_GRACE_S: Final = 5.0


class KafkaWorker(WorkerStatus):
    """Consumes the topics of its subscriptions until told to stop; see `run`."""

    def __init__(
        self,
        settings: Settings,
        subscriptions: Sequence[Subscription],
        *,
        clock: Clock,
        producer: Producer,
        needed_topics: Collection[str] = (),
        must_end: Callable[[], str | None] = lambda: None,
        prepare: Callable[[], Awaitable[None]] | None = None,
        outbox: Outbox | None = None,
        bound: DeadLetterBound | None = None,
    ) -> None:
        """needed_topics: without which it does not start, as an answer to a missing one is never
        stored, and holds the others up.
        prepare: awaited once Kafka answers, before the first request is taken
        must_end: why it can't go on, asked every second; it then drains and raises WorkerFault
        outbox: where handlers put answers, which are then committed with their offsets; None: they
            store them by themselves
        bound: of requests that become dead letters by a bug; None: there is none
        """
        super().__init__(producer, settings.ready_lag_s)
        self._settings = settings
        self._subscriptions = tuple(subscriptions)
        self._clock = clock
        self._needed_topics = frozenset(needed_topics)
        self._must_end = must_end
        self._prepare = prepare
        self._outbox = outbox
        self._bound = bound
        producer.watch(self._needed_topics)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, then drain within `drain_timeout_s`, commit, and leave the group.

        Raises TopicsError when a topic is missing at the start, OperatorError when the group
        refuses for good, BrokerUnavailable when Kafka's client gives up, WorkerFault when a handler
        does: nothing unfinished is committed then, and another worker or the next start goes on.
        """
        stopping = asyncio.create_task(stop.wait())
        try:
            if await self._connected(stopping) and await self._is_prepared(stopping):
                await self._work(stopping)
        finally:
            stopping.cancel()
            self._stopping = True
            await self._producer.stop()

    async def _connected(self, stopping: asyncio.Task[bool]) -> bool:
        """Whether Kafka answers, and has what is needed; False: it is to stop before that."""

        async def connect() -> None:
            await self._producer.start()
            await self._require_topics()

        async def pause(seconds: float) -> bool:
            pausing = asyncio.create_task(self._clock.sleep(seconds))
            await asyncio.wait({pausing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            pausing.cancel()
            return not stopping.done()

        return await keep_connecting(connect, pause)

    async def _require_topics(self) -> None:
        """Raises BrokerUnavailable where the brokers that were there a moment ago are not."""
        if not self._needed_topics:
            return
        try:
            async with TopicAdmin(self._settings) as admin:
                missing = await admin.missing(self._needed_topics)
                hidden = await admin.hidden(missing)
        except NoKafka as error:
            raise BrokerUnavailable(str(error)) from None
        if hidden:
            raise TopicsError(
                f"this user may not use topic {', '.join(sorted(hidden))}: an ACL is missing; a "
                "worker reads the topics of requests and events, and writes those of responses, "
                "replies and dead letters"
            )
        if missing:
            raise TopicsError(
                f"Kafka has no topic {', '.join(sorted(missing))}; `streamproc topics apply` "
                "creates those that are described, and those that routes publish to; those that "
                "routes read, and those of STREAMPROC_REPLY_TOPICS, are yours to create"
            )

    async def _is_prepared(self, stopping: asyncio.Task[bool]) -> bool:
        """Whether all is prepared; False: it is to stop before that."""
        if self._prepare is None:
            return True
        preparing = asyncio.ensure_future(self._prepare())
        try:
            await asyncio.wait({preparing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if preparing.done():
                preparing.result()
            return preparing.done()
        finally:
            preparing.cancel()

    async def _work(self, stopping: asyncio.Task[bool]) -> None:
        # Faust's consumer exists only once there is an app, whose agents need the dispatcher.
        app = build_app(
            self._settings,
            dict.fromkeys((one.topic for one in self._subscriptions), self._accept),
            self._consumer_state,
            [one.topic for one in self._subscriptions if one.lane is Lane.INTERACTIVE],
            [one.topic for one in self._subscriptions if one.starts_at_end],
        )
        transactions = self._transactions()
        dispatcher = self._dispatcher = Dispatcher(
            self._subscriptions,
            ConsumerControl(app, self._consumer_state),
            clock=self._clock,
            max_in_flight_bytes=self._settings.max_in_flight_bytes,
            revoke_grace_s=min(REVOKE_GRACE_S, self._settings.session_timeout_s / 3),
            read_ledger=self._read_ledger(transactions),
            transactions=transactions,
            bound=self._bound,
        )
        app.on_partitions_revoked.connect(dispatcher.on_partitions_revoked)
        app.on_rebalance_complete.connect(dispatcher.on_rebalance_complete)
        running = RunningApp(app)
        chores = [
            asyncio.create_task(self._keep_committing(dispatcher, transactions)),
            asyncio.create_task(self._every(PROBE_INTERVAL_S, self._look_around)),
            asyncio.create_task(self._every(LOOK_INTERVAL_S, self._end_if_it_must)),
            asyncio.create_task(self._every(LOOK_INTERVAL_S, dispatcher.stay)),
        ]
        try:
            await running.wait({stopping, dispatcher.fault, *chores})
            await self._drain(dispatcher)
            if dispatcher.fault.done():
                dispatcher.fault.result()
            running.raise_what_failed(chores)
        finally:
            for task in chores:
                task.cancel()
            await asyncio.wait(chores)
            await running.stop()
            if transactions is not None:
                await transactions.close()

    def _transactions(self) -> Transactions | None:
        """What commits answers with their offsets; None: nothing does."""
        if self._outbox is None:
            return None
        settings, producer, clock = self._settings, self._producer, self._clock

        async def connect(tp: TopicPartition) -> TransactionalProducer:
            most_bytes = producer.max_request_bytes
            return await KafkaTransactions.connect(settings, tp, most_bytes, clock)

        return Transactions(
            self._outbox,
            producer.troubles,
            clock,
            connect=connect,
            read_positions=partial(read_positions, settings),
            of_now=self._of_now,
            fenced_s=2 * settings.session_timeout_s,
        )

    async def _of_now(self, topic_partitions: Collection[TopicPartition]) -> set[TopicPartition]:
        """Those whose topic is still the one that is read. Brokers before 3.1 tell no ids."""
        known = self._consumer_state.topic_ids
        found = await self._producer.topic_ids({tp.topic for tp in topic_partitions})
        same = {topic for topic, first in known.items() if found.get(topic) == first}
        return {
            tp
            for tp in topic_partitions
            if tp not in self._consumer_state.remade and (tp.topic in same or tp.topic not in known)
        }

    def _read_ledger(self, transactions: Transactions | None) -> ReadLedger:
        """What an assignment begins with; with transactions, once nobody else has any."""
        if transactions is None:
            return partial(read_ledger, self._settings)

        async def begin(topic_partitions: frozenset[TopicPartition]) -> Found:
            return decoded(await transactions.begin(topic_partitions))

        return begin

    async def _keep_committing(
        self, dispatcher: Dispatcher, transactions: Transactions | None
    ) -> None:
        """Raises OperatorError, or WorkerFault, where transactions can't go on."""
        interval_s = COMMIT_INTERVAL_S
        if transactions is not None:
            interval_s = self._settings.transaction_interval_ms / 1000
        while True:
            await self._clock.sleep(interval_s)
            await dispatcher.commit()
            if transactions is not None:
                transactions.check()

    async def _look_around(self) -> None:
        """Raises OperatorError when the group refuses for good."""
        await self._producer.probe()
        if self._dispatcher is not None:
            self._dispatcher.hold(self._producer.troubles)
        state = self._consumer_state
        if state.final and state.refusal is not None:
            raise OperatorError(f"the consumer group refuses the worker: {state.refusal}")

    async def _drain(self, dispatcher: Dispatcher) -> None:
        self._stopping = True
        dispatcher.close()
        _log.info("draining", in_flight=self.in_flight)
        if not await dispatcher.requests.drain(self._settings.drain_timeout_s):
            _log.warning(
                "drain timed out, requests in flight will be answered again",
                in_flight=self.in_flight,
            )
        await dispatcher.requests.cancel()
        fault = dispatcher.fault
        # Too many dead letters end it in order, and no request is to be suspected of ending it.
        if not fault.done() or isinstance(fault.exception(), TooManyFailed):
            dispatcher.leave()
        await dispatcher.commit_in_time()

    def _accept(self, event: EventT) -> None:
        if self._dispatcher is not None:
            self._dispatcher.accept(event)

    async def _end_if_it_must(self) -> None:
        reason = self._must_end()
        if reason is not None and self._dispatcher is not None:
            self._dispatcher.fail(WorkerFault(reason))

    async def _every(self, seconds: float, act: Callable[[], Awaitable[Any]]) -> None:
        while True:
            await self._clock.sleep(seconds)
            await act()
