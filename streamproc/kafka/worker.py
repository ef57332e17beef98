"""The worker: Faust brings events, handlers answer them, only the finished prefix is committed."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import structlog
from faust.types import TP, EventT

from streamproc.clock import Clock
from streamproc.errors import BrokerUnavailable, WorkerFault
from streamproc.kafka.backoff import backoff_s
from streamproc.kafka.budget import ByteBudget
from streamproc.kafka.commits import Committer
from streamproc.kafka.consumer_control import ConsumerControl, ours
from streamproc.kafka.faust_app import build_app, to_record
from streamproc.kafka.offsets import OffsetTracker, Ticket
from streamproc.kafka.producer import Producer
from streamproc.kafka.requests_in_flight import Handler, RequestsInFlight
from streamproc.messages.lane import Lane
from streamproc.messages.record import Record, TopicPartition
from streamproc.settings import Settings

_log = structlog.get_logger(__name__)

COMMIT_INTERVAL_S: Final = 0.1
PROBE_INTERVAL_S: Final = 2.0
REVOKE_GRACE_S: Final = 5.0
STOP_TIMEOUT_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Route:
    """Where the requests of one topic go."""

    topic: str
    lane: Lane
    handler: Handler


class KafkaWorker:
    """Consumes the topics of its routes until told to stop; see `run`."""

    def __init__(
        self, settings: Settings, routes: Sequence[Route], *, clock: Clock, producer: Producer
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._producer = producer
        self._routes = {route.topic: route for route in routes}
        self._budgets = {lane: ByteBudget(settings.max_in_flight_bytes) for lane in Lane}
        self._tracker = OffsetTracker()
        self._requests = RequestsInFlight(
            clock, finished=self._on_finished, ended=self._on_ended, failed=self._on_failed
        )
        self._generation: int | None = None
        self._accepting = True
        self._fault: asyncio.Future[None] | None = None
        self._app: Any = None
        self._consumer: ConsumerControl | None = None
        self._committer: Committer | None = None

    # -- health

    @property
    def in_flight(self) -> int:
        """Requests taken and not yet finished."""
        return len(self._requests)

    def in_flight_bytes(self, lane: Lane) -> int:
        """Bytes that the requests in flight on a lane count for."""
        return self._budgets[lane].in_flight_bytes

    @property
    def handler_errors(self) -> int:
        """Times a handler raised, which none should."""
        return self._requests.handler_errors

    @property
    def uncommitted_s(self) -> float:
        """Seconds that something finished has been waiting for its commit."""
        return self._committer.behind_s() if self._committer else 0.0

    def is_paused(self, lane: Lane) -> bool:
        """Fetching rests because the lane has as many bytes in flight as it may."""
        return self._budgets[lane].is_full

    def ready(self) -> bool:
        """Requests are being taken and answered."""
        return not self.not_ready()

    def not_ready(self) -> list[str]:
        """Why the worker is not ready, a sentence each; empty when it is."""
        found = []
        if not self._accepting:
            found.append("the worker is stopping")
        if self._generation is None:
            found.append("no topic-partitions have been assigned yet")
        if self._producer.trouble is not None:
            found.append(f"Kafka: {self._producer.trouble}")
        if self.uncommitted_s > self._settings.ready_lag_s:
            found.append(f"finished requests uncommitted for {self.uncommitted_s:.0f} s")
        return found

    # -- life

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, then drain within `drain_timeout_s`, commit, and leave the group.

        Raises BrokerUnavailable when Kafka's client gives up, WorkerFault when a handler does:
        nothing unfinished is committed then, and another worker or the next start goes on.
        """
        stopping = asyncio.create_task(stop.wait())
        try:
            if await self._connect(stopping):
                await self._work(stopping)
        finally:
            stopping.cancel()
            self._accepting = False
            await self._producer.stop()

    async def _connect(self, stopping: asyncio.Task[Any]) -> bool:
        for attempt, wait_s in enumerate(backoff_s(0.5), start=1):
            try:
                await self._producer.start()
            except BrokerUnavailable as error:
                _log.warning("waiting for Kafka", attempt=attempt, wait_s=wait_s, error=str(error))
            else:
                return True
            pause = asyncio.create_task(self._clock.sleep(wait_s))
            await asyncio.wait({pause, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if stopping.done():
                pause.cancel()
                return False
        return False

    async def _work(self, stopping: asyncio.Task[Any]) -> None:
        self._fault = asyncio.get_running_loop().create_future()
        self._app = build_app(self._settings, dict.fromkeys(self._routes, self._accept))
        self._consumer = ConsumerControl(self._app)
        self._committer = Committer(self._tracker, self._consumer.commit, self._clock)
        self._app.on_partitions_revoked.connect(self._on_revoked)
        self._app.on_rebalance_complete.connect(self._on_rebalanced)
        starting = asyncio.create_task(self._app.start())
        crashed = asyncio.create_task(self._app._crashed.wait())  # noqa: SLF001 - mode has no other
        keeping = [
            asyncio.create_task(self._every(COMMIT_INTERVAL_S, self._commit)),
            asyncio.create_task(self._every(PROBE_INTERVAL_S, self._producer.probe)),
        ]
        try:
            watched = {stopping, crashed, self._fault, *keeping}
            await asyncio.wait({*watched, starting}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done() and starting.exception() is None:
                await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            await self._drain()
            self._raise_what_failed(crashed, starting, keeping)
        finally:
            for task in (crashed, *keeping):
                task.cancel()
            await asyncio.wait({crashed, *keeping})
            await self._stop_faust(starting)

    def _raise_what_failed(
        self,
        crashed: asyncio.Task[Any],
        starting: asyncio.Task[Any],
        keeping: Sequence[asyncio.Task[Any]],
    ) -> None:
        if self._fault is not None and self._fault.done():
            self._fault.result()
        reason: BaseException | None = None
        if crashed.done():
            reason = self._app.crash_reason or RuntimeError("Faust crashed")
        for task in (starting, *keeping):
            if task.done() and not task.cancelled() and reason is None:
                reason = task.exception()
        if reason is not None:
            raise BrokerUnavailable(
                f"the Kafka consumer stopped: {type(reason).__name__}: {reason}"
            ) from reason

    async def _drain(self) -> None:
        assert self._consumer is not None  # noqa: S101 - for the type checker
        # Before the first assignment there is nothing to pause, and Faust's consumer is not there.
        if self._generation is not None:
            self._consumer.pause(self._tracker.assigned())
        self._accepting = False
        _log.info("draining", in_flight=self.in_flight)
        if not await self._requests.drain(self._settings.drain_timeout_s):
            _log.warning("not drained in time; the rest is asked again", left=self.in_flight)
        await self._requests.give_up()
        await self._commit_within(REVOKE_GRACE_S)

    async def _stop_faust(self, starting: asyncio.Task[Any]) -> None:
        if not starting.done():
            starting.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await starting
        try:
            await asyncio.wait_for(self._app.stop(), STOP_TIMEOUT_S)
        except Exception as error:  # noqa: BLE001 - nothing is left to lose; end all the same
            _log.warning("Faust did not stop in order", error=type(error).__name__)

    async def _every(self, seconds: float, act: Any) -> None:
        while True:
            await self._clock.sleep(seconds)
            await act()

    # -- events, all on the loop's thread

    def _accept(self, event: EventT) -> None:
        message: Any = event.message
        assert self._consumer is not None  # noqa: S101 - events come from the app built with it
        if not self._accepting or message.generation_id != self._consumer.generation:
            return
        self._begin_generation()
        tp = TopicPartition(message.topic, message.partition)
        ticket = self._tracker.deliver(tp, message.offset, message.generation_id)
        if ticket is None:
            _log.info("came again", topic_partition=str(tp), offset=message.offset)
            return
        record = to_record(event)
        route = self._routes[record.topic]
        # Never waits: a full channel would stall Faust's conductor, and the other lane with it.
        self._requests.start(ticket, record, route.handler)
        if self._budgets[route.lane].take(record.size_bytes):
            self._consumer.pause(self._of_lane(route.lane))

    def _on_finished(self, ticket: Ticket) -> None:
        if self._tracker.finish(ticket) and self._committer is not None:
            self._committer.note()

    def _on_ended(self, ticket: Ticket, record: Record) -> None:
        lane = self._routes[ticket.topic_partition.topic].lane
        reopened = self._budgets[lane].give_back(record.size_bytes)
        if reopened and self._accepting and self._consumer is not None:
            self._consumer.resume(self._of_lane(lane))

    def _on_failed(self, record: Record, error: Exception) -> None:
        if self._fault is not None and not self._fault.done():
            self._fault.set_exception(
                WorkerFault(
                    f"the request at {record.position} can't be handled: {type(error).__name__}; "
                    "its offset is not committed"
                )
            )

    def _of_lane(self, lane: Lane) -> list[TopicPartition]:
        return [tp for tp in self._tracker.assigned() if self._routes[tp.topic].lane is lane]

    # -- assignments

    def _begin_generation(self) -> None:
        """Follow the group's assignment; an event may be first to tell that it is a new one."""
        assert self._consumer is not None and self._committer is not None  # noqa: S101, PT018
        generation = self._consumer.generation
        if generation == self._generation:
            return
        self._generation = generation
        assignment = self._consumer.assignment()
        self._committer.forget()
        self._tracker.assign(assignment, generation)
        _log.info("assigned", topic_partitions=len(assignment), generation=generation)

    async def _on_rebalanced(self, *_: Any, **__: Any) -> None:
        self._begin_generation()

    async def _on_revoked(self, _app: Any, revoked: set[TP], **_: Any) -> None:
        """Finish what can be finished soon, so that its prefix is committed; forget the rest."""
        leaving = frozenset(map(ours, revoked))
        await self._requests.drain(
            min(REVOKE_GRACE_S, self._settings.session_timeout_s / 3), among=leaving
        )
        await self._commit_within(REVOKE_GRACE_S)
        self._tracker.revoke(leaving)
        given_up = await self._requests.give_up(among=leaving)
        _log.info("revoked", topic_partitions=len(leaving), given_up=given_up)

    # -- commits

    async def _commit(self) -> None:
        if self._committer is not None and self._generation is not None:
            await self._committer.commit()

    async def _commit_within(self, seconds: float) -> None:
        work: Coroutine[Any, Any, None] = self._commit()
        try:
            await asyncio.wait_for(work, seconds)
        except TimeoutError:
            _log.warning("the last commit did not come through; some answers will come twice")
