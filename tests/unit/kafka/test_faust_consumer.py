"""How records come from Faust's consumer: without waiting where none is needed, lanes in order."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from aiokafka.consumer.subscription_state import Assignment
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st
from mode import Service

from streamproc.kafka.commits import Position
from streamproc.kafka.consumer_state import ConsumerState
from streamproc.kafka.consumer_thread import LaneThread
from streamproc.kafka.faust_consumer import LaneConsumer
from streamproc.kafka.progress import HandedOut, ProgressNotes
from streamproc.kafka.seek_to_committed import SeekToCommitted
from streamproc.kafka.started_coroutine import rest_of

INTERACTIVE, BULK = TP("interactive", 0), TP("bulk", 0)


class Fetcher:
    """Hands records out as aiokafka does: in the order in which topic-partitions were fetched."""

    def __init__(self, fetched: Mapping[TP, list[int]]) -> None:
        self.left = {tp: list(records) for tp, records in fetched.items()}
        self.waits: list[float] = []
        self.noted: list[Any] = []

    def note(self, _: Any, __: int, records: Any) -> Any:
        self.noted.append(records)
        return records

    async def take(self, asked: set[TP], timeout_s: float, max_records: int) -> dict[TP, list[int]]:
        assert asked, "aiokafka takes an empty set for every topic-partition"
        self.waits.append(timeout_s)
        taken: dict[TP, list[int]] = {}
        for tp in [tp for tp in self.left if tp in asked]:
            records = self.left[tp][:max_records]
            del self.left[tp][: len(records)]
            max_records -= len(records)
            if records:
                taken[tp] = records
        return taken


def assigned(assignment: str) -> Any:
    return SimpleNamespace(subscription=SimpleNamespace(assignment=assignment))


def thread_of(fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch, *, is_flowing: bool) -> Any:
    """A thread that reads from it; is_flowing: once it has, records are handed on"""

    async def fetch(_self: Any, _consumer: Any, active_partitions: Any, **limits: Any) -> Any:
        return await fetcher.take(active_partitions, limits["timeout"], limits["max_records"])

    monkeypatch.setattr(
        faust.transport.drivers.aiokafka.AIOKafkaConsumerThread, "_fetch_records", fetch
    )
    thread: Any = object.__new__(LaneThread)
    thread._interactive_topics = frozenset({"interactive"})
    thread._remade = None
    monkeypatch.setattr(SeekToCommitted, "note", lambda *_: None)
    thread._seek = SeekToCommitted()
    thread._progress = ProgressNotes(ConsumerState())
    monkeypatch.setattr(thread._progress, "note", fetcher.note)
    app = SimpleNamespace(consumer_generation_id=7)
    thread.consumer = SimpleNamespace(flow_active=is_flowing, app=app)
    return thread


async def poll(
    fetcher: Fetcher, active: set[TP], monkeypatch: pytest.MonkeyPatch, max_records: int = 16
) -> dict[TP, list[int]]:
    thread = thread_of(fetcher, monkeypatch, is_flowing=True)
    fetched = SimpleNamespace(_records=fetcher.left)
    client = SimpleNamespace(_fetcher=fetched, _subscription=assigned("now"))
    handed: dict[TP, list[int]] = await thread._fetch_records(
        client, active, timeout=0.05, max_records=max_records
    )
    return handed


async def test_an_interactive_record_comes_before_bulk_ones_that_were_fetched_earlier(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fetcher = Fetcher({BULK: list(range(1000)), INTERACTIVE: [1]})
    records = await poll(fetcher, {BULK, INTERACTIVE}, monkeypatch)
    assert list(records) == [INTERACTIVE, BULK]
    assert records[INTERACTIVE] == [1]
    assert sum(map(len, records.values())) == 16


async def test_a_flood_of_interactive_records_leaves_bulk_ones_a_part_of_every_poll(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fetcher = Fetcher({INTERACTIVE: list(range(1000)), BULK: list(range(1000))})
    records = await poll(fetcher, {BULK, INTERACTIVE}, monkeypatch)
    assert (len(records[INTERACTIVE]), len(records[BULK])) == (16, 4)


async def test_a_backlog_of_one_topic_partition_does_not_keep_others_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    others = [TP("interactive", number) for number in (1, 2)]
    fetcher = Fetcher({INTERACTIVE: list(range(1000)), **{tp: list(range(1000)) for tp in others}})
    polls = [await poll(fetcher, {INTERACTIVE, *others}, monkeypatch) for _ in range(6)]
    assert [set(records) for records in polls] == [{tp} for tp in (INTERACTIVE, *others)] * 2
    assert [records[INTERACTIVE] for records in polls[::3]] == [
        list(range(16)),
        list(range(16, 32)),
    ]


async def test_what_comes_while_the_flow_rests_is_fetched_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fetcher = Fetcher({})
    gone = TP("interactive", 1)
    taken = {tp: [record(tp, at) for at in (7, 8)] for tp in (INTERACTIVE, BULK, gone)}
    thread = thread_of(fetcher, monkeypatch, is_flowing=False)

    async def take(*_: Any, **__: Any) -> Any:
        return taken

    monkeypatch.setattr(fetcher, "take", take)
    sought: list[tuple[TP, int]] = []
    client = SimpleNamespace(
        assignment=lambda: {INTERACTIVE, BULK}, seek=lambda tp, offset: sought.append((tp, offset))
    )
    assert await thread._fetch_records(client, {INTERACTIVE}, timeout=0, max_records=9) == {}
    # Their positions are those of nothing that is on its way.
    assert not fetcher.noted
    assert set(sought) == {(INTERACTIVE, 7), (BULK, 7)}


async def test_what_was_read_before_an_assignment_is_not_handed_on_with_what_was_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fetcher = Fetcher({INTERACTIVE: [1], BULK: [2]})
    thread = thread_of(fetcher, monkeypatch, is_flowing=True)
    client = SimpleNamespace(
        assignment=set,
        _fetcher=SimpleNamespace(_records={}),
        _subscription=assigned("then"),
    )
    take = fetcher.take

    async def take_slowly(asked: set[TP], *limits: Any) -> Any:
        if BULK in asked:
            client._subscription = assigned("now")
        return await take(asked, *limits)

    monkeypatch.setattr(fetcher, "take", take_slowly)
    both = {INTERACTIVE, BULK}
    handed = await thread._fetch_records(client, both, timeout=0, max_records=9)
    assert handed == {BULK: [2]}


@pytest.mark.parametrize("active", [{BULK}, {INTERACTIVE}])
async def test_a_lane_that_is_held_back_gets_nothing(
    active: set[TP], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetcher = Fetcher({BULK: [1], INTERACTIVE: [2]})
    assert set(await poll(fetcher, active, monkeypatch)) == active


async def test_a_poll_waits_only_while_neither_lane_has_a_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fetcher = Fetcher({})
    assert await poll(fetcher, {BULK, INTERACTIVE}, monkeypatch) == {}
    assert fetcher.waits == [0, 0.05]


class Polled(LaneConsumer):
    """Has one poll's records, and what Faust says of itself meanwhile."""

    app = SimpleNamespace(consumer_generation_id=7)
    flow_active = True
    should_stop = False

    def __init__(self, polled: Mapping[TP, list[int]], active: set[TP]) -> None:
        self._polled = polled, active
        self._buffered_partitions: set[TP] = set()

    async def poll(self, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's
        polled, active = self._polled
        found = {
            tp: HandedOut([record(tp, at) for at in offsets], 7, offsets[0] - 1 if offsets else -1)
            for tp, offsets in polled.items()
        }
        return found, active


def record(tp: TP, offset: int) -> Any:
    return SimpleNamespace(
        topic=tp.topic, partition=tp.partition, offset=offset, timestamp=5, timestamp_type=0,
        key=None, value=b"{}", headers=(),
    )  # fmt: skip


async def test_what_a_poll_has_of_a_topic_partition_is_one_message_interactive_first() -> None:
    consumer = Polled({INTERACTIVE: [1], BULK: [4, 5, 9]}, {INTERACTIVE, BULK})
    messages = [(tp, message) async for tp, message in consumer.getmany(1.0)]

    assert [(tp, [one.offset for one in message.records]) for tp, message in messages] == [
        (INTERACTIVE, [1]),
        (BULK, [4, 5, 9]),
    ]
    assert [(message.offset, message.generation_id) for _, message in messages] == [(1, 7), (9, 7)]


async def test_records_of_a_topic_partition_that_is_held_back_are_not_handed_on() -> None:
    consumer = Polled({INTERACTIVE: [1], BULK: [4]}, {INTERACTIVE})
    assert [tp async for tp, _ in consumer.getmany(1.0)] == [INTERACTIVE]


async def test_records_of_an_assignment_that_has_ended_are_not_handed_on() -> None:
    consumer = Polled({INTERACTIVE: [1], BULK: [4]}, {INTERACTIVE, BULK})
    consumer.app = SimpleNamespace(consumer_generation_id=7)
    handed = []
    async for tp, _ in consumer.getmany(1.0):
        handed.append(tp)
        consumer.app.consumer_generation_id = 8
    assert handed == [INTERACTIVE]


async def test_what_need_not_wait_is_done_without_another_task() -> None:
    async def deliver() -> None:
        done.append(asyncio.current_task())

    done: list[Any] = []
    suspended = asyncio.Event()
    consumer = object.__new__(LaneConsumer)
    await consumer.wait_first(deliver(), suspended.wait())
    assert done == [asyncio.current_task()]


async def test_what_has_to_wait_goes_on_once_it_may() -> None:
    async def deliver() -> None:
        await flowing.wait()
        done.append("delivered")

    done: list[str] = []
    flowing, suspended = asyncio.Event(), asyncio.Event()
    consumer = LaneConsumer.__new__(LaneConsumer)
    Service.__init__(consumer, loop=asyncio.get_running_loop())
    waiting = asyncio.create_task(consumer.wait_first(deliver(), suspended.wait()))
    await asyncio.sleep(0)
    assert not done
    flowing.set()
    await asyncio.wait_for(waiting, 5)
    assert done == ["delivered"]


@given(st.lists(st.sampled_from(["sleep", "future", "raise"]), max_size=6))
def test_a_coroutine_goes_on_in_another_task_as_if_it_had_begun_there(steps: list[str]) -> None:
    async def work(seen: list[str]) -> str:
        for step in steps:
            if step == "sleep":
                await asyncio.sleep(0)
            elif step == "future":
                ready = asyncio.get_running_loop().create_future()
                asyncio.get_running_loop().call_soon(ready.set_result, step)
                seen.append(await ready)
            else:
                broken = asyncio.get_running_loop().create_future()
                asyncio.get_running_loop().call_soon(broken.set_exception, ValueError(step))
                try:
                    await broken
                except ValueError as error:
                    seen.append(str(error))
        return "done"

    async def begun_here() -> tuple[str, list[str]]:
        seen: list[str] = []
        begun = work(seen)
        try:
            waiting_for = begun.send(None)
        except StopIteration as ended:
            return ended.value, seen

        async def rest() -> str:
            value: str = await rest_of(begun, waiting_for)
            return value

        return await asyncio.create_task(rest()), seen

    async def begun_there() -> tuple[str, list[str]]:
        seen: list[str] = []
        return await asyncio.create_task(work(seen)), seen

    assert asyncio.run(begun_here()) == asyncio.run(begun_there())


async def test_a_coroutine_that_is_cancelled_while_it_waits_cleans_up() -> None:
    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cleaned.append(True)

    cleaned: list[bool] = []
    begun = work()
    waiting_for = begun.send(None)

    async def rest() -> None:
        await rest_of(begun, waiting_for)

    task = asyncio.create_task(rest())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned == [True]


async def test_offsets_of_topic_partitions_that_are_another_workers_now_are_not_committed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(LaneThread, "assignment", lambda _self: set[TP]())
    thread = object.__new__(LaneThread)
    thread._remade = None
    # Without a client: aiokafka raises when it is given nothing to commit, which ends the worker.
    assert await thread.store({BULK: Position(7, "")}) is False


@pytest.mark.parametrize("is_assigned", [True, False])
async def test_a_topic_partition_that_has_no_position_does_not_end_the_worker(
    is_assigned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assignment = Assignment([BULK])
    client = SimpleNamespace(_fetcher=SimpleNamespace(_subscriptions=SimpleNamespace()))
    client._fetcher._subscriptions.subscription = SimpleNamespace(assignment=assignment)
    monkeypatch.setattr(LaneThread, "client", client)
    monkeypatch.setattr(LaneThread, "_ensure_consumer", lambda _self: client)
    monkeypatch.setattr(LaneThread, "_verify_aiokafka_event_path", lambda *_: False)
    thread: Any = object.__new__(LaneThread)
    app = SimpleNamespace(monitor=object(), topics=SimpleNamespace(acks_enabled_for=bool))
    thread.consumer = SimpleNamespace(app=app)
    thread.time_started = 0.0
    thread.verify_event_path(1.0, BULK if is_assigned else INTERACTIVE)


async def test_a_consumer_with_nothing_to_poll_goes_on_once_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Full(LaneConsumer):
        flow_active = True

        def __init__(self) -> None:
            self._buffered_partitions: set[TP] = {INTERACTIVE}
            self._active_partitions: set[TP] | None = set()
            self._resumed = asyncio.Event()

    consumer = Full()
    assert consumer.holds_all_back
    monkeypatch.setattr("streamproc.kafka.faust_consumer.POLL_TIMEOUT_S", 60.0)
    polling = asyncio.create_task(consumer.poll(60.0))
    await asyncio.sleep(0)
    assert not polling.done()
    consumer.on_buffer_drop(INTERACTIVE)
    assert await asyncio.wait_for(polling, 5) == ({}, set())
    assert not consumer.holds_all_back
