"""A worker with nothing to read stays in its group, and takes what it is assigned later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.protocol.group import JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest
from faust.types import TP

from streamproc.kafka.faust_consumer import LaneConsumer
from streamproc.kafka.private_api import note_poll

MAX_POLL_INTERVAL_S = 0.3
REQUESTS = TP("requests", 0)


class Broker:
    """One that lets everybody join, and assigns this."""

    def __init__(self, assigned: list[tuple[str, list[int]]]) -> None:
        self.assigned = assigned
        self.asked: list[type] = []
        self.cluster = SimpleNamespace(
            add_listener=lambda _: None, partitions_for_topic=lambda _: {0}, topics=set
        )

    def set_topics(self, _: Any) -> None: ...

    async def coordinator_lookup(self, *_: Any) -> int:
        return 1

    async def ready(self, *_: Any, **__: Any) -> bool:
        return True

    async def _maybe_wait_metadata(self) -> None: ...

    async def send(self, _node: int, request: Any, **_: Any) -> Any:
        await asyncio.sleep(0.001)
        self.asked.append(type(request))
        assigned = ConsumerProtocolMemberAssignment(0, self.assigned, b"").encode()
        return {
            JoinGroupRequest: SimpleNamespace(
                error_code=0, member_id="me", generation_id=3, group_protocol="roundrobin",
                leader_id="other", members=[],
            ),
            SyncGroupRequest: SimpleNamespace(error_code=0, member_assignment=assigned),
        }.get(type(request), SimpleNamespace(error_code=0, topics=[]))  # fmt: skip


class Reading(LaneConsumer):
    """The worker's consumer, without the thread that it reads in."""

    should_stop = False

    def __init__(self, subscriptions: SubscriptionState) -> None:
        self.flow_active = True
        self._subscriptions = subscriptions
        self._reading: Any = self
        self._buffered_partitions = set[TP]()
        self._paused_partitions = set[TP]()
        self._active_partitions = set[TP]()
        self._resumed = asyncio.Event()
        self.can_resume_flow, self.suspend_flow = asyncio.Event(), asyncio.Event()
        self.not_waiting_next_records = asyncio.Event()
        self.app = SimpleNamespace(client_only=False, in_recovery=False)

    async def wait(self, event: Any) -> None:
        await event.wait()

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:  # noqa: ASYNC109
        with self._subscriptions.fetch_context():
            await asyncio.sleep(timeout)
        return {}

    def note_poll(self) -> None:
        note_poll(SimpleNamespace(_subscription=self._subscriptions))


class Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """What Faust does with an assignment."""

    def __init__(self, consumer: Reading) -> None:
        self._consumer = consumer
        self.assigned = asyncio.Event()

    async def on_partitions_revoked(self, revoked: Any) -> None:
        if revoked:
            self._consumer.stop_flow()
            self._consumer.pause_partitions({TP(*tp) for tp in revoked})

    async def on_partitions_assigned(self, assigned: Any) -> None:
        topic_partitions = {TP(*tp) for tp in assigned}
        self._consumer._set_active_tps(topic_partitions)
        self._consumer.resume_partitions(topic_partitions)
        self._consumer.resume_flow()
        self.assigned.set()


class Member:
    """A worker's place in the group."""

    def __init__(self, broker: Broker, consumer: Reading) -> None:
        self.consumer = consumer
        self._broker = broker

    async def has_left(self) -> bool:
        """Once it could have polled for longer than it may be without."""
        await asyncio.sleep(2 * MAX_POLL_INTERVAL_S)
        return LeaveGroupRequest in self._broker.asked


@asynccontextmanager
async def joined(
    assigned: list[tuple[str, list[int]]], *, stays: bool = True
) -> AsyncIterator[Member]:
    """A member that polls, and says that it stays as the worker's own loop does."""
    subscriptions = SubscriptionState()
    subscriptions.register_fetch_waiters(set())
    consumer = Reading(subscriptions)
    listener = Listener(consumer)
    broker = Broker(assigned)
    coordinator = GroupCoordinator(
        broker,
        subscriptions,
        group_id="group",
        session_timeout_ms=200,
        heartbeat_interval_ms=20,
        retry_backoff_ms=10,
        enable_auto_commit=False,
        max_poll_interval_ms=int(1000 * MAX_POLL_INTERVAL_S),
        assignors=(RoundRobinPartitionAssignor,),
    )
    subscriptions.subscribe({REQUESTS.topic}, listener)

    async def poll() -> None:
        while True:
            await consumer.poll(0.05)
            await asyncio.sleep(0)

    async def stay() -> None:
        while stays:
            consumer.stay()
            await asyncio.sleep(0.02)

    tasks = [asyncio.create_task(poll()), asyncio.create_task(stay())]
    try:
        async with asyncio.timeout(5):
            await listener.assigned.wait()
        yield Member(broker, consumer)
    finally:
        for task in [*tasks, coordinator._coordination_task]:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_a_worker_without_topic_partitions_stays_in_the_group() -> None:
    async with joined([]) as member:
        assert not await member.has_left()


async def test_a_worker_all_of_whose_topics_are_held_back_stays_in_the_group() -> None:
    async with joined([("requests", [0])]) as member:
        member.consumer.on_buffer_full(REQUESTS)
        assert not await member.has_left()


async def test_a_worker_whose_assignment_takes_long_to_begin_stays_in_the_group() -> None:
    async with joined([("requests", [0])]) as member:
        member.consumer.stop_flow()
        assert not await member.has_left()


@pytest.mark.parametrize("assigned", [[], [("requests", [0])]])
async def test_a_worker_whose_loop_hangs_leaves_the_group(
    assigned: list[tuple[str, list[int]]],
) -> None:
    """Its thread goes on with heartbeats, and another worker takes what it has."""
    async with joined(assigned, stays=False) as member:
        member.consumer.on_buffer_full(REQUESTS)
        assert await member.has_left()
