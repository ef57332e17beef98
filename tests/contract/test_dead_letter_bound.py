"""A worker at fault stops before a topic is emptied into dead letters; bad records stop nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from streamproc.clock import SystemClock, Timed
from streamproc.errors import MemberFailed, MembersLate, TooManyFailed
from streamproc.kafka.offsets import Delivery
from streamproc.kafka.requests_in_flight import RequestsInFlight
from streamproc.messages.dead_letter_bound import DeadLetterBound
from streamproc.messages.lane import Lane
from streamproc.messages.record import Record, TopicPartition
from streamproc.metrics import Metrics
from streamproc.serving.engine import Engine
from streamproc.serving.inference.batch import Batch
from streamproc.serving.inference.executor import ModelExecutor
from streamproc.serving.member_health import MemberHealth
from streamproc.testing import (
    ManualClock,
    MemoryBroker,
    ScriptedSession,
    build_engine,
    build_pipeline,
    build_record,
    build_spec,
    build_tokenizer,
)
from tests.support.buggy_task import Buggy

THREADS = 3
BURST = 4
REQUESTS = 60
BAD = int(next(build_tokenizer().stream("bad")).ids[0])


class Hurried(ManualClock):
    """Waits a hundredth of what it is told to, so that back-off takes no time."""

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        await asyncio.sleep(seconds / 100)


class EverLate:
    """A scorer whose members take too long for every chunk, and are well on their canary."""

    queued_tokens = 0

    def __init__(self, health: MemberHealth) -> None:
        self._health = health

    async def submit(self, item: Any, tokens: int, lane: Lane, /) -> Timed[Any]:
        for member in ("a", "b", "c"):
            self._health.passed(member)
        raise MembersLate("0 of 3 members answered, 3 are needed", ["a", "b", "c"])

    async def close(self) -> None:
        return


class Worker:
    """Requests under way as a worker has them, with a bound that is soon reached."""

    def __init__(self, engine: Engine, ratio: float = 0.5) -> None:
        clock = Hurried()
        self.broker = MemoryBroker()
        self.finished: list[int] = []
        self.failed: list[Exception] = []
        bound = DeadLetterBound(BURST, ratio, Metrics())
        self.pipeline = build_pipeline(self.broker, engine, clock=clock, attempts=0, bound=bound)
        self.requests = RequestsInFlight(
            clock,
            finished=lambda delivery: self.finished.append(delivery.offset),
            ended=lambda *_: None,
            failed=lambda _, error: self.failed.append(error),
            bound=bound,
        )

    async def handle(self, records: Sequence[Record]) -> None:
        for record in records:
            delivery = Delivery(TopicPartition(record.topic, 0), record.offset, 1)
            self.requests.start(delivery, record, self.pipeline, self.pipeline.refuse)
        assert await self.requests.drain(30)

    @property
    def letters(self) -> int:
        return len(self.broker.topics.get("dlq", ()))


def asked(*texts: str) -> list[Record]:
    return [
        build_record({"id": f"r{number}", "text": text}, offset=number)
        for number, text in enumerate(texts)
    ]


async def test_a_bug_that_every_request_meets_costs_a_burst_and_the_rest_is_held(
    executor: ModelExecutor,
) -> None:
    engine = build_engine(executor=executor)
    worker = Worker(replace(engine, task=Buggy(engine.task, "good")))

    await worker.handle(asked(*["good"] * REQUESTS))

    assert worker.letters == len(worker.finished) == BURST
    assert len(worker.failed) == REQUESTS - BURST
    assert {type(error) for error in worker.failed} == {TooManyFailed}
    said = str(worker.failed[0])
    assert said.startswith(f"{BURST + 1} of the last {BURST + 1} requests failed by no fault of")
    assert "internal errors: 5" in said


async def test_what_can_be_answered_is_answered_while_the_rest_is_held(
    executor: ModelExecutor,
) -> None:
    engine = build_engine(executor=executor)
    worker = Worker(replace(engine, task=Buggy(engine.task, "bad")))
    await worker.handle(asked(*["bad"] * (BURST + 1)))
    assert worker.failed

    await worker.handle(asked(*["bad"] * 9, "the film"))

    assert worker.letters == BURST
    assert [answer["status"] for answer in worker.broker.values("responses")] == [
        *["error"] * BURST,
        "ok",
    ]


async def test_members_too_slow_for_every_request_cost_a_burst_and_the_rest_is_held(
    executor: ModelExecutor,
) -> None:
    engine = build_engine(executor=executor)
    worker = Worker(replace(engine, scorer=EverLate(engine.health)))

    await worker.handle(asked(*["good"] * REQUESTS))

    assert worker.letters == BURST
    assert len(worker.failed) == REQUESTS - BURST
    assert "members too late: 5" in str(worker.failed[0])


@pytest.mark.parametrize("bad", [b"{", b'{"text": 1}', b'{"text": "x", "ensemble": "none"}'])
async def test_a_stream_of_nothing_but_bad_records_stops_nobody(
    executor: ModelExecutor, bad: bytes
) -> None:
    worker = Worker(build_engine(executor=executor), ratio=0.01)

    await worker.handle([build_record(bad, offset=number) for number in range(REQUESTS)])

    assert worker.failed == []
    assert worker.letters == len(worker.finished) == REQUESTS


async def test_bad_records_among_requests_that_fail_do_not_hide_that_the_worker_is_at_fault(
    executor: ModelExecutor,
) -> None:
    engine = build_engine(executor=executor)
    worker = Worker(replace(engine, task=Buggy(engine.task, "good")))
    records = [
        build_record({"id": "r", "text": "good" if number % 10 == 0 else 1}, offset=number)
        for number in range(10 * REQUESTS)
    ]

    await worker.handle(records)

    assert worker.letters == 9 * REQUESTS + BURST
    assert len(worker.failed) == REQUESTS - BURST


async def test_a_stream_of_nothing_but_poison_records_stops_nobody(
    executor: ModelExecutor,
) -> None:
    def refuse_bad(batch: Batch) -> None:
        if (batch.ids == BAD).any():
            raise MemberFailed("a", "a bad word")

    session = ScriptedSession("a", before=refuse_bad)
    worker = Worker(build_engine(build_spec(["a"]), [session], executor=executor))
    await worker.handle(asked("good"))

    await worker.handle(asked(*["bad film"] * REQUESTS))

    assert worker.failed == []
    assert worker.letters == REQUESTS


async def test_requests_past_their_deadline_are_no_fault_of_the_worker(
    executor: ModelExecutor,
) -> None:
    worker = Worker(build_engine(executor=executor, clock=SystemClock()))
    records = [
        build_record({"id": f"r{n}", "text": "good", "deadline_ms": 1}, offset=n, timestamp_ms=1)
        for n in range(REQUESTS)
    ]

    await worker.handle(records)

    assert worker.failed == []
    assert len(worker.finished) == REQUESTS
