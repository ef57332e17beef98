"""The table of outcomes in docs/design.md: members, deadlines and the worker at fault."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from streamproc.errors import BrokerUnavailable, MemberFailed, OutOfMemory, TooLarge, WorkerFault
from streamproc.messages.record import ProducerRecord
from streamproc.serving.engine import Engine
from streamproc.serving.inference.batch import Batch
from streamproc.serving.inference.executor import ModelExecutor
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
from tests.support.contract_answers import HEADERS, assert_dead_letter, assert_refused, only

THREADS = 3

BAD = int(next(build_tokenizer().stream("bad")).ids[0])


def refuse_bad(batch: Batch) -> None:
    """Fails on every batch with the word "bad" in it."""
    if (batch.ids == BAD).any():
        raise MemberFailed("scripted", "a bad word")


def fail(_: Batch) -> None:
    raise MemberFailed("scripted", "broken")


def engine_of(
    executor: ModelExecutor,
    *sessions: ScriptedSession,
    quorum: int | None = None,
    call_timeout_s: float = 30.0,
) -> Engine:
    spec = build_spec([session.name for session in sessions], quorum=quorum)
    return build_engine(spec, sessions, executor=executor, call_timeout_s=call_timeout_s)


async def test_a_request_that_models_fail_on_fails_alone_and_its_neighbours_are_answered(
    executor: ModelExecutor,
) -> None:
    broker = MemoryBroker()
    sessions = [ScriptedSession(name, before=refuse_bad) for name in ("a", "b")]
    pipeline = build_pipeline(broker, engine_of(executor, *sessions))
    texts = ["good film", "the film", "bad film", "good good", "the good film"]
    records = [
        build_record({"id": text, "text": text}, offset=7, headers=HEADERS) for text in texts
    ]

    await asyncio.gather(*map(pipeline, records))

    status = {response["id"]: response["status"] for response in broker.values("responses")}
    assert status == {text: "error" if "bad" in text else "ok" for text in texts}
    failed = next(r for r in broker.values("responses") if r["status"] == "error")
    assert failed["error"]["type"] == "failed"
    assert "member" in failed["error"]["detail"]
    assert_dead_letter(broker, records[2], "failed")


async def test_a_request_whose_deadline_has_passed_is_told_so_and_is_no_dead_letter() -> None:
    broker, clock = MemoryBroker(), ManualClock()
    clock.advance(2)

    await build_pipeline(broker, clock=clock)(
        build_record({"id": "r", "text": "x", "deadline_ms": 1_000, "metadata": 1})
    )

    response = only(broker.values("responses"))
    assert (response["status"], response["error"]["type"]) == ("error", "deadline")
    assert response["metadata"] == 1
    assert "dlq" not in broker.topics


async def test_a_deadline_that_passes_while_a_model_runs_is_told_at_once(
    executor: ModelExecutor,
) -> None:
    broker, release = MemoryBroker(), threading.Event()
    session = ScriptedSession("a", before=lambda _: assert_released(release))
    pipeline = build_pipeline(broker, engine_of(executor, session), clock=ManualClock())

    await pipeline(build_record({"id": "r", "text": "x", "deadline_ms": 5}))
    release.set()

    assert only(broker.values("responses"))["error"]["type"] == "deadline"
    assert "dlq" not in broker.topics


async def test_a_request_within_its_deadline_is_answered() -> None:
    broker, clock = MemoryBroker(), ManualClock()

    await build_pipeline(broker, clock=clock)(
        build_record({"id": "r", "text": "x", "deadline_ms": 60_000})
    )

    assert only(broker.values("responses"))["status"] == "ok"


def assert_released(release: threading.Event) -> None:
    assert release.wait(10)


async def test_an_answer_larger_than_the_topic_takes_becomes_an_error_without_what_was_large() -> (
    None
):
    def refuse(record: ProducerRecord) -> None:
        if len(record.value or b"") > 1_000:
            raise TooLarge("too large", "1000 bytes at most")

    broker = MemoryBroker(refuse)

    await build_pipeline(broker)(build_record({"id": "r", "text": "x", "metadata": "m" * 1_000}))

    response = only(broker.values("responses"))
    assert (response["id"], response["status"]) == ("r", "error")
    assert response["error"]["type"] == "too-large"
    assert "metadata" not in response
    assert "dlq" not in broker.topics
    # There is nothing smaller: the producer holds it until the topic takes it.
    assert broker.topics["responses"][0].is_last_resort


async def test_missing_members_with_the_quorum_met_make_a_partial_answer_that_names_them(
    executor: ModelExecutor,
) -> None:
    broker = MemoryBroker()
    engine = engine_of(
        executor, ScriptedSession("a"), ScriptedSession("b", before=fail), ScriptedSession("c"),
        quorum=2,
    )  # fmt: skip

    await build_pipeline(broker, engine)(build_record({"id": "r", "text": "x"}))

    response = only(broker.values("responses"))
    assert response["status"] == "partial"
    assert {member["name"]: member["status"] for member in response["members"]} == {
        "a": "ok", "b": "failed", "c": "ok"
    }  # fmt: skip
    assert response["result"]["label"]
    assert "dlq" not in broker.topics


async def test_a_stalled_member_is_late_and_with_the_quorum_met_the_answer_is_partial(
    executor: ModelExecutor,
) -> None:
    broker, release = MemoryBroker(), threading.Event()
    stalled = ScriptedSession("b", before=lambda _: assert_released(release))
    engine = engine_of(executor, ScriptedSession("a"), stalled, quorum=1, call_timeout_s=0.05)

    await build_pipeline(broker, engine)(build_record({"id": "r", "text": "x"}))
    release.set()

    response = only(broker.values("responses"))
    assert response["status"] == "partial"
    assert [member["status"] for member in response["members"]] == ["ok", "late"]


async def test_members_below_the_quorum_for_this_request_make_an_error(
    executor: ModelExecutor,
) -> None:
    broker = MemoryBroker()
    sessions = [ScriptedSession(name, before=refuse_bad) for name in ("a", "b")]
    engine = engine_of(executor, *sessions, ScriptedSession("c"), quorum=2)
    record = build_record({"id": "r", "text": "bad"}, offset=7, headers=HEADERS)

    await build_pipeline(broker, engine)(record)

    assert_refused(broker, record, "failed", "r")
    assert (
        "1 of 3 members answered, 2 are needed" in broker.values("responses")[0]["error"]["detail"]
    )


def fault_of_memory(_: Batch) -> None:
    raise OutOfMemory("no memory")


@pytest.mark.parametrize("fault", [fail, fault_of_memory], ids=["model gone", "no memory"])
async def test_a_worker_at_fault_answers_nothing_and_leaves_the_request_unfinished(
    executor: ModelExecutor, fault: Any
) -> None:
    broker, clock = MemoryBroker(), ManualClock()
    engine = engine_of(executor, ScriptedSession("a", before=fault), ScriptedSession("b"))

    with pytest.raises(WorkerFault):
        await build_pipeline(broker, engine, clock=clock)(build_record({"id": "r", "text": "x"}))

    assert broker.topics == {}


async def test_a_worker_that_recovers_answers_what_it_tried_again(executor: ModelExecutor) -> None:
    broker, calls = MemoryBroker(), 0

    def fail_at_first(_: Batch) -> None:
        nonlocal calls
        calls += 1
        assert broker.topics == {}
        if calls <= 2:
            raise OutOfMemory("no memory")

    engine = engine_of(executor, ScriptedSession("a", before=fail_at_first))

    await build_pipeline(broker, engine, clock=ManualClock())(
        build_record({"id": "r", "text": "x"})
    )

    assert calls == 3
    assert only(broker.values("responses"))["status"] == "ok"


async def test_a_broker_that_is_away_leaves_the_request_unfinished() -> None:
    def refuse(_: ProducerRecord) -> None:
        raise BrokerUnavailable("gone")

    broker = MemoryBroker(refuse)

    with pytest.raises(BrokerUnavailable):
        await build_pipeline(broker)(build_record({"id": "r", "text": "x"}))
