"""The worker: Faust brings events, handlers answer them, only the finished prefix is committed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

import structlog
from faust.types import EventT

from streamproc.clock import Clock
from streamproc.errors import BrokerUnavailable, OperatorError, TopicsError, WorkerFault
from streamproc.kafka.backoff import backoff_s
from streamproc.kafka.consumer_control import ConsumerControl
from streamproc.kafka.consumer_state import ConsumerState
from streamproc.kafka.dispatcher import Dispatcher, Route
from streamproc.kafka.faust_app import build_app
from streamproc.kafka.ledger import read_ledger
from streamproc.kafka.producer import Producer
from streamproc.kafka.topic_admin import TopicAdmin
from streamproc.logs.redaction import describe_error
from streamproc.messages.lane import Lane
from streamproc.messages.record import TopicPartition
from streamproc.settings import Settings

_log = structlog.get_logger(__name__)

COMMIT_INTERVAL_S: Final = 0.1
PROBE_INTERVAL_S: Final = 2.0
LOOK_INTERVAL_S: Final = 1.0
REVOKE_GRACE_S: Final = 5.0
STOP_TIMEOUT_S: Final = 20.0


class KafkaWorker:
    """Consumes the topics of its routes until told to stop; see `run`."""

    def __init__(
        self,
        settings: Settings,
        routes: Sequence[Route],
        *,
        clock: Clock,
        producer: Producer,
        needed_topics: Collection[str] = (),
        must_end: Callable[[], str | None] = lambda: None,
    ) -> None:
        """needed_topics: without which it does not start, as an answer to a missing one is never
        stored, and holds the others up.
        must_end: why it can't go on, asked every second; it then drains and raises WorkerFault
        """
        self._settings = settings
        self._routes = tuple(routes)
        self._clock = clock
        self._producer = producer
        self._needed_topics = frozenset(needed_topics)
        self._must_end = must_end
        producer.watch(self._needed_topics)
        self._consumer_state = ConsumerState()
        self._intake: Dispatcher | None = None
        self._stopping = False

    @property
    def in_flight(self) -> int:
        """Requests taken and not yet finished."""
        return len(self._intake.requests) if self._intake else 0

    def in_flight_bytes(self, lane: Lane) -> int:
        """Bytes that the requests in flight on a lane count for."""
        return self._intake.budgets[lane].in_flight_bytes if self._intake else 0

    def is_paused(self, lane: Lane) -> bool:
        """Fetching rests because the lane has as many bytes in flight as it may."""
        return self._intake is not None and self._intake.budgets[lane].is_full

    @property
    def assigned(self) -> frozenset[TopicPartition]:
        """The topic-partitions that this worker has."""
        return self._intake.assigned if self._intake else frozenset()

    @property
    def handler_errors(self) -> int:
        """Times a handler raised, which none should."""
        return self._intake.requests.handler_errors if self._intake else 0

    @property
    def uncommitted_s(self) -> float:
        """Seconds that something finished has been waiting for its commit."""
        return self._intake.committer.behind_s() if self._intake else 0.0

    def ready(self) -> bool:
        """Requests are being taken and answered."""
        return not self.not_ready()

    def not_ready(self) -> list[str]:
        """Why the worker is not ready, a clause each; empty when it is."""
        found = []
        if self._stopping:
            found.append("the worker is stopping")
        if self._consumer_state.refusal is not None:
            found.append(f"the consumer group: {self._consumer_state.refusal}")
        elif self._intake is None or self._intake.generation is None:
            found.append("no topic-partitions have been assigned yet")
        elif self._intake.trouble is not None:
            found.append(self._intake.trouble)
        if self._producer.trouble is not None:
            found.append(f"Kafka: {self._producer.trouble}")
        troubles = self._producer.troubles.reasons()
        found.extend(f"topic {topic}: {reason}" for topic, reason in troubles.items())
        if self.uncommitted_s > self._settings.ready_lag_s:
            found.append(f"finished requests uncommitted for {self.uncommitted_s:.0f} s")
        return found

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, then drain within `drain_timeout_s`, commit, and leave the group.

        Raises TopicsError when a topic is missing at the start, OperatorError when the group
        refuses for good, BrokerUnavailable when Kafka's client gives up, WorkerFault when a handler
        does: nothing unfinished is committed then, and another worker or the next start goes on.
        """
        stopping = asyncio.create_task(stop.wait())
        try:
            if await self._connect(stopping):
                await self._require_topics()
                await self._work(stopping)
        finally:
            stopping.cancel()
            self._stopping = True
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

    async def _require_topics(self) -> None:
        if not self._needed_topics:
            return
        async with TopicAdmin(self._settings) as admin:
            missing = self._needed_topics - (await admin.found(self._needed_topics)).keys()
        if missing:
            raise TopicsError(
                f"Kafka has no topic {', '.join(sorted(missing))}; `streamproc topics apply` makes "
                "those that are described; those of STREAMPROC_REPLY_TOPICS are yours to make"
            )

    async def _work(self, stopping: asyncio.Task[Any]) -> None:
        # Faust's consumer exists only once there is an app, and the app's agents need the intake.
        app = build_app(
            self._settings,
            dict.fromkeys((route.topic for route in self._routes), self._accept),
            self._consumer_state,
            [route.topic for route in self._routes if route.lane is Lane.INTERACTIVE],
        )
        intake = self._intake = Dispatcher(
            self._routes,
            ConsumerControl(app, self._consumer_state),
            clock=self._clock,
            max_in_flight_bytes=self._settings.max_in_flight_bytes,
            revoke_grace_s=min(REVOKE_GRACE_S, self._settings.session_timeout_s / 3),
            read_ledger=partial(read_ledger, self._settings),
        )
        app.on_partitions_revoked.connect(intake.on_partitions_revoked)
        app.on_rebalance_complete.connect(intake.on_rebalance_complete)
        starting = asyncio.create_task(app.start())
        crashed = asyncio.create_task(app._crashed.wait())  # noqa: SLF001 - mode has no other way
        keeping = [
            asyncio.create_task(self._every(COMMIT_INTERVAL_S, intake.commit)),
            asyncio.create_task(self._every(PROBE_INTERVAL_S, self._look_around)),
            asyncio.create_task(self._every(LOOK_INTERVAL_S, self._end_if_it_must)),
        ]
        try:
            watched = {stopping, crashed, intake.fault, *keeping}
            await asyncio.wait({*watched, starting}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done() and starting.exception() is None:
                await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            await self._drain(intake)
            if intake.fault.done():
                intake.fault.result()
            reason = app.crash_reason or RuntimeError("Faust crashed") if crashed.done() else None
            _raise_what_failed(reason, [starting, *keeping])
        finally:
            for task in (crashed, *keeping):
                task.cancel()
            await asyncio.wait({crashed, *keeping})
            await _stop_faust(app, starting)

    async def _look_around(self) -> None:
        """Raises OperatorError when the group refuses for good."""
        await self._producer.probe()
        if self._intake is not None:
            self._intake.hold(self._producer.troubles)
        state = self._consumer_state
        if state.final and state.refusal is not None:
            raise OperatorError(f"the consumer group refuses the worker: {state.refusal}")

    async def _drain(self, intake: Dispatcher) -> None:
        self._stopping = True
        intake.close()
        _log.info("draining", in_flight=self.in_flight)
        if not await intake.requests.drain(self._settings.drain_timeout_s):
            _log.warning(
                "drain timed out, requests in flight will be answered again",
                in_flight=self.in_flight,
            )
        await intake.requests.give_up()
        if not intake.fault.done():
            intake.leave()
        await intake.commit_in_time()

    def _accept(self, event: EventT) -> None:
        if self._intake is not None:
            self._intake.accept(event)

    async def _end_if_it_must(self) -> None:
        reason = self._must_end()
        if reason is not None and self._intake is not None:
            self._intake.fail(WorkerFault(reason))

    async def _every(self, seconds: float, act: Callable[[], Awaitable[Any]]) -> None:
        while True:
            await self._clock.sleep(seconds)
            await act()


def _raise_what_failed(reason: BaseException | None, tasks: Sequence[asyncio.Task[Any]]) -> None:
    ended = (task for task in tasks if task.done() and not task.cancelled())
    reason = reason or next(filter(None, (task.exception() for task in ended)), None)
    if isinstance(reason, OperatorError):
        raise reason
    if reason is not None:
        raise BrokerUnavailable(f"the Kafka consumer stopped: {describe_error(reason)}") from reason


async def _stop_faust(app: Any, starting: asyncio.Task[Any]) -> None:
    if not starting.done():
        starting.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await starting
    try:
        await asyncio.wait_for(app.stop(), STOP_TIMEOUT_S)
    except Exception as error:  # noqa: BLE001 - nothing is left to lose; end all the same
        _log.warning("Faust failed to stop", error=type(error).__name__)


__all__ = ["KafkaWorker", "Route"]
