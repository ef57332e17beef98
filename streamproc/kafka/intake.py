"""Events in, handlers started, offsets followed: what one assignment after another asks for.

All of it runs on the event loop's thread, and nothing here waits for a handler but `revoked`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from faust.types import TP, EventT

from streamproc.clock import Clock
from streamproc.errors import WorkerFault
from streamproc.kafka.budget import ByteBudget
from streamproc.kafka.commits import Committer
from streamproc.kafka.consumer_control import ConsumerControl, ours
from streamproc.kafka.faust_app import to_record
from streamproc.kafka.offsets import OffsetTracker, Ticket
from streamproc.kafka.requests_in_flight import Handler, Refuse, RequestsInFlight
from streamproc.messages.lane import Lane
from streamproc.messages.record import Record, TopicPartition

_log = structlog.get_logger(__name__)

COMMIT_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Route:
    """Where the requests of one topic go.

    refuse: what is done with one that can't be handled; None: the worker ends
    """

    topic: str
    lane: Lane
    handler: Handler
    refuse: Refuse | None = None


class Intake:
    """Takes events of the assignment in force, until closed.

    revoke_grace_s: the longest that requests may finish in when their topic-partition leaves
    fault: done, with a WorkerFault, once a handler kept raising
    """

    def __init__(
        self,
        routes: Sequence[Route],
        consumer: ConsumerControl,
        *,
        clock: Clock,
        max_in_flight_bytes: int,
        revoke_grace_s: float,
    ) -> None:
        self._routes = {route.topic: route for route in routes}
        self._consumer = consumer
        self._revoke_grace_s = revoke_grace_s
        self._tracker = OffsetTracker()
        self.budgets = {lane: ByteBudget(max_in_flight_bytes) for lane in Lane}
        self.committer = Committer(self._tracker, consumer.commit, clock)
        self.requests = RequestsInFlight(
            clock, finished=self._finished, ended=self._ended, failed=self._failed
        )
        self.fault: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.generation: int | None = None
        self.is_open = True

    @property
    def assigned(self) -> frozenset[TopicPartition]:
        """The topic-partitions whose events are taken."""
        return self._tracker.assigned()

    def accept(self, event: EventT) -> None:
        """Begin with an event's request, unless the event is of another assignment."""
        message: Any = event.message
        if not self.is_open or message.generation_id != self._consumer.generation:
            return
        self.follow_assignment()
        tp = TopicPartition(message.topic, message.partition)
        ticket = self._tracker.deliver(tp, message.offset, message.generation_id)
        if ticket is None:
            _log.info("came again", topic_partition=str(tp), offset=message.offset)
            return
        record = to_record(event)
        route = self._routes[record.topic]
        # Never waits: a full channel would stall Faust's conductor, and the other lane with it.
        self.requests.start(ticket, record, route.handler)
        if self.budgets[route.lane].take(record.size_bytes):
            self._consumer.pause(self._of_lane(route.lane))

    def close(self) -> None:
        """Take no more events; what is in flight goes on."""
        # Before the first assignment there is nothing to pause, and Faust's consumer may be none.
        if self.generation is not None:
            self._consumer.pause(self.assigned)
        self.is_open = False

    async def commit(self) -> None:
        """Commit what has been finished, if anything has been assigned yet."""
        if self.generation is not None:
            await self.committer.commit()

    async def commit_in_time(self) -> None:
        """The same, giving up after five seconds: the broker may be away."""
        try:
            await asyncio.wait_for(self.commit(), COMMIT_TIMEOUT_S)
        except TimeoutError:
            _log.warning("the last commit did not come through; some answers will come twice")

    def follow_assignment(self) -> None:
        """Begin anew when the group has a new assignment; an event may be first to tell of it."""
        generation = self._consumer.generation
        if generation == self.generation:
            return
        self.generation = generation
        assignment = self._consumer.assignment()
        self.committer.forget()
        self._tracker.assign(assignment, generation)
        _log.info("assigned", topic_partitions=len(assignment), generation=generation)

    async def on_rebalance_complete(self, *_: Any, **__: Any) -> None:
        """Faust's signal, sent before it seeks to the committed offsets."""
        self.follow_assignment()

    async def on_partitions_revoked(self, _app: Any, revoked: set[TP], **_: Any) -> None:
        """Faust's signal: finish what can be finished soon, commit it, and forget the rest."""
        leaving = frozenset(map(ours, revoked))
        await self.requests.drain(self._revoke_grace_s, among=leaving)
        await self.commit_in_time()
        self._tracker.revoke(leaving)
        given_up = await self.requests.give_up(among=leaving)
        _log.info("revoked", topic_partitions=len(leaving), given_up=given_up)

    def _finished(self, ticket: Ticket) -> None:
        if self._tracker.finish(ticket):
            self.committer.note()

    def _ended(self, ticket: Ticket, record: Record) -> None:
        lane = self._routes[ticket.topic_partition.topic].lane
        if self.budgets[lane].give_back(record.size_bytes) and self.is_open:
            self._consumer.resume(self._of_lane(lane))

    def fail(self, fault: WorkerFault) -> None:
        """Make the worker end with this."""
        if not self.fault.done():
            self.fault.set_exception(fault)

    def _failed(self, record: Record, error: Exception) -> None:
        self.fail(
            WorkerFault(
                f"the request at {record.position} can't be handled: {type(error).__name__}; "
                "its offset is not committed"
            )
        )

    def _of_lane(self, lane: Lane) -> list[TopicPartition]:
        return [tp for tp in self.assigned if self._routes[tp.topic].lane is lane]
