"""The table of outcomes in docs/design.md, row by row, with a broker in memory."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from streamproc.engine import Engine
from streamproc.errors import BrokerUnavailable, OutOfMemory, TooLarge, WorkerFault
from streamproc.inference.executor import ModelExecutor
from streamproc.inference.outputs import Batch
from streamproc.messages.record import Headers, Outgoing, Record
from streamproc.testing import (
    ManualClock,
    MemoryBroker,
    ScriptedSession,
    build_engine,
    build_pipeline,
    build_profile,
    build_record,
    build_route,
    build_tokenizer,
)

BAD = int(next(build_tokenizer().stream("bad")).ids[0])
HEADERS: Headers = (("traceparent", b"00-ab-cd-01"), ("other", b"\xff"))


@pytest.fixture
def executor() -> Iterator[ModelExecutor]:
    executor = ModelExecutor(3)
    yield executor
    executor.close()


def refuse_bad(batch: Batch) -> None:
    """Fails on every batch with the word "bad" in it."""
    if (batch.ids == BAD).any():
        raise_failed("a bad word")


def raise_failed(reason: str) -> None:
    from streamproc.errors import MemberFailed

    raise MemberFailed("scripted", reason)


def fail(_: Batch) -> None:
    raise_failed("broken")


def engine_of(
    executor: ModelExecutor,
    *sessions: ScriptedSession,
    quorum: int | None = None,
    call_timeout_s: float = 30.0,
) -> Engine:
    profile = build_profile([session.name for session in sessions], quorum=quorum)
    return build_engine(profile, sessions, executor=executor, call_timeout_s=call_timeout_s)


def only(values: list[dict[str, Any]]) -> dict[str, Any]:
    assert len(values) == 1
    return values[0]


def assert_dead_letter(broker: MemoryBroker, record: Record, error_type: str) -> None:
    (letter,) = broker.topics["dlq"]
    assert (letter.key, letter.value) == (record.key, record.value)
    assert letter.headers[: len(record.headers)] == record.headers
    headers = dict(letter.headers)
    assert headers["streamproc-error-type"] == error_type.encode()
    assert headers["streamproc-error-title"]
    assert headers["streamproc-error-detail"]
    assert headers["streamproc-request-topic"] == b"requests"
    assert headers["streamproc-request-partition"] == b"0"
    assert headers["streamproc-request-offset"] == b"7"


def assert_refused(broker: MemoryBroker, record: Record, error_type: str, request_id: str) -> None:
    response = only(broker.values("responses"))
    assert response["id"] == request_id
    assert response["status"] == "error"
    assert response["error"]["type"] == error_type
    assert response["error"]["title"]
    assert response["error"]["detail"]
    assert "result" not in response
    assert_dead_letter(broker, record, error_type)


async def test_a_good_request_is_answered_ok_and_leaves_no_dead_letter() -> None:
    broker = MemoryBroker()

    await build_pipeline(broker)(build_record({"id": "r", "text": "the good film"}))

    response = only(broker.values("responses"))
    assert set(response) == {
        "id", "task", "status", "ensemble", "manifest", "result", "members", "agreement",
        "entropy", "coverage", "timing",
    }  # fmt: skip
    assert (response["id"], response["task"]) == ("r", "text-classification")
    assert (response["status"], response["ensemble"]) == ("ok", "tiny")
    assert response["result"]["label"] in ("negative", "positive")
    assert sum(response["result"]["scores"].values()) == pytest.approx(1)
    assert response["members"] == [
        {"name": name, "version": "1", "status": "ok"} for name in ("a", "b", "c")
    ]
    assert response["coverage"] == {
        "chunks": 1, "characters": 13, "characters_covered": 13, "truncated": False
    }  # fmt: skip
    assert "dlq" not in broker.topics


@pytest.mark.parametrize(
    ("value", "title"),
    [
        pytest.param(None, b"tombstone", id="tombstone"),
        pytest.param(b"", b"not JSON", id="empty"),
        pytest.param(b"\x00\x01\xff", b"not JSON", id="binary"),
        pytest.param(b'{"id": "r", "text": "\xff"}', b"not JSON", id="wrong UTF-8"),
        pytest.param(b'{"id": "r", "text": "\\ud800"}', b"not JSON", id="lone surrogate"),
        pytest.param(b'{"id": "r", "text": NaN}', b"not JSON", id="NaN"),
        pytest.param(b'{"id": "r", "text": "x"', b"not JSON", id="cut off"),
        pytest.param(b'["text"]', b"not an object", id="list"),
        pytest.param(b"[" * 100_000, b"not JSON", id="deeper than any parser"),
        pytest.param(
            b'{"metadata":' + b"[" * 65 + b"]" * 65 + b"}", b"nested too deeply", id="deep"
        ),
    ],
)
async def test_an_unreadable_record_without_an_id_is_a_dead_letter_alone(
    value: bytes | None, title: bytes
) -> None:
    broker = MemoryBroker()
    record = build_record(value, offset=7, headers=HEADERS)

    await build_pipeline(broker)(record)

    assert "responses" not in broker.topics
    assert_dead_letter(broker, record, "unreadable")
    headers = dict(broker.topics["dlq"][0].headers)
    assert headers["streamproc-error-title"] == title
    assert headers["streamproc-error-id"] == b"requests:0:7"


CE_BINARY: Headers = (
    ("ce_specversion", b"1.0"), ("ce_id", b"event"), ("ce_source", b"/s"), ("ce_type", b"t"),
)  # fmt: skip
CE_STRUCTURED: Headers = (("content-type", b"application/cloudevents+json; charset=utf-8"),)
EVENT = {"specversion": "1.0", "id": "event", "source": "/s", "type": "t"}


@pytest.mark.parametrize(
    ("value", "headers", "request_id"),
    [
        pytest.param(
            b'{"id":"deep","metadata":' + b"[" * 65 + b"]" * 65 + b"}", HEADERS, "deep", id="plain"
        ),
        pytest.param(b"{", (*HEADERS, *CE_BINARY), "event", id="binary CloudEvent"),
        pytest.param(None, (*HEADERS, *CE_BINARY), "event", id="tombstone with CloudEvent headers"),
        pytest.param(
            orjson.dumps({**EVENT, "data_base64": "e30h"}),
            CE_STRUCTURED,
            "event",
            id="structured CloudEvent around no JSON",
        ),
        pytest.param(b"{", (("streamproc-original-id", b"first"),), "first", id="replayed"),
    ],
)
async def test_an_unreadable_record_with_an_id_is_answered_too(
    value: bytes | None, headers: Headers, request_id: str
) -> None:
    broker = MemoryBroker()
    record = build_record(value, offset=7, headers=headers)

    await build_pipeline(broker)(record)

    (answer,) = broker.topics["responses"]
    body = orjson.loads(answer.value or b"")
    body = body.get("data", body)
    assert (body["id"], body["status"]) == (request_id, "error")
    assert body["error"]["type"] == "unreadable"
    assert dict(broker.topics["dlq"][0].headers)["streamproc-error-type"] == b"unreadable"
    assert broker.topics["dlq"][0].value == value


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param({"text": 5}, "text", id="text of another type"),
        pytest.param({}, "text", id="no text"),
        pytest.param({"text": None}, "text", id="text null"),
        pytest.param({"text": "x", "params": []}, "params", id="params of another type"),
        pytest.param({"text": "x", "params": {"top_k": 0}}, "params.top_k", id="top_k 0"),
        pytest.param({"text": "x", "params": {"top_k": True}}, "params.top_k", id="top_k true"),
        pytest.param({"text": "x", "params": {"topk": 1}}, "params.topk", id="unknown param"),
        pytest.param({"text": "x", "params": {"combine": "sum"}}, "params.combine", id="combine"),
        pytest.param({"text": "x", "ensemble": "other"}, "'other'", id="unknown ensemble"),
        pytest.param({"text": "x", "ensemble": "../tiny"}, "ensemble", id="path-like ensemble"),
        pytest.param({"text": "x", "ensemble": "/etc"}, "ensemble", id="absolute ensemble"),
        pytest.param({"text": "x", "ensemble": "tiny\n"}, "ensemble", id="ensemble and newline"),
        pytest.param({"text": "x", "deadline_ms": 0}, "deadline_ms", id="deadline 0"),
        pytest.param({"text": "x", "deadline_ms": "1"}, "deadline_ms", id="deadline as text"),
    ],
)
async def test_a_readable_but_invalid_request_is_answered_and_a_dead_letter(
    fields: dict[str, Any], said: str
) -> None:
    broker = MemoryBroker()
    record = build_record({"id": "r", "metadata": {"a": 1}, **fields}, offset=7, headers=HEADERS)

    await build_pipeline(broker)(record)

    assert_refused(broker, record, "invalid", "r")
    response = only(broker.values("responses"))
    assert said in response["error"]["detail"]
    assert response["metadata"] == {"a": 1}


@pytest.mark.parametrize(
    "fields",
    [{"text": 5}, {"params": 5, "text": "x"}, {"id": 5, "text": "x"}, {"id": "x" * 257}],
)
async def test_an_invalid_request_without_a_usable_id_is_answered_by_its_position(
    fields: dict[str, Any],
) -> None:
    broker = MemoryBroker()
    record = build_record(fields, offset=7)

    await build_pipeline(broker)(record)

    assert_refused(broker, record, "invalid", "requests:0:7")


async def test_a_request_with_very_many_faults_gets_an_answer_that_names_some() -> None:
    broker = MemoryBroker()
    params = {f"unknown-{number}": number for number in range(5_000)}

    await build_pipeline(broker)(build_record({"id": "r", "text": "x", "params": params}))

    (answer,) = broker.topics["responses"]
    assert b"params.unknown-0" in (answer.value or b"")
    assert len(answer.value or b"") < 4_096


async def test_a_request_larger_than_the_limit_is_answered_by_its_position() -> None:
    broker = MemoryBroker()
    record = build_record({"id": "r", "text": "x" * 2_000}, offset=7, headers=HEADERS)

    await build_pipeline(broker, route=build_route(max_message_bytes=2_000))(record)

    assert_refused(broker, record, "invalid", "requests:0:7")
    assert (
        "2000 (STREAMPROC_MAX_MESSAGE_BYTES)" in only(broker.values("responses"))["error"]["detail"]
    )


async def test_a_request_of_just_the_limit_is_answered() -> None:
    broker = MemoryBroker()
    record = build_record({"id": "r", "text": "x" * 500}, headers=HEADERS)

    await build_pipeline(broker, route=build_route(max_message_bytes=record.size_bytes))(record)

    assert only(broker.values("responses"))["status"] == "ok"


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
    def refuse(record: Outgoing) -> None:
        if len(record.value or b"") > 1_000:
            raise TooLarge("too large", "1000 bytes at most")

    broker = MemoryBroker(refuse)

    await build_pipeline(broker)(build_record({"id": "r", "text": "x", "metadata": "m" * 1_000}))

    response = only(broker.values("responses"))
    assert (response["id"], response["status"]) == ("r", "error")
    assert response["error"]["type"] == "too-large"
    assert "metadata" not in response
    assert "dlq" not in broker.topics


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
    def refuse(_: Outgoing) -> None:
        raise BrokerUnavailable("gone")

    broker = MemoryBroker(refuse)

    with pytest.raises(BrokerUnavailable):
        await build_pipeline(broker)(build_record({"id": "r", "text": "x"}))


async def test_a_dead_letter_is_stored_before_its_response() -> None:
    order: list[str] = []
    broker = MemoryBroker(lambda record: order.append(record.topic))

    await build_pipeline(broker)(build_record({"id": "r", "text": 5}))

    assert order == ["dlq", "responses"]
