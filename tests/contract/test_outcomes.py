"""The table of outcomes in docs/design.md: good requests and bad ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from streamproc.messages.record import Headers, UnreadableValue
from streamproc.testing import MemoryBroker, build_pipeline, build_record, build_route
from tests.support.contract_answers import HEADERS, assert_dead_letter, assert_refused, only


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


async def test_a_record_that_the_client_could_not_read_is_a_dead_letter_without_an_original() -> (
    None
):
    broker = MemoryBroker()
    record = replace(build_record(None, offset=7), value=UnreadableValue("its bytes are gone"))

    await build_pipeline(broker)(record)

    assert "responses" not in broker.topics
    (letter,) = broker.topics["dlq"]
    assert (letter.key, letter.value) == (None, None)
    headers = dict(letter.headers)
    assert headers["streamproc-error-type"] == b"unreadable"
    assert headers["streamproc-error-detail"] == b"its bytes are gone; only its offset is known"
    assert headers["streamproc-request-offset"] == b"7"
    assert headers["streamproc-error-original-left-out"] == b"true"


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
        pytest.param({"text": "x", "params": {"topk": 1}}, "params.topk", id="unknown param"),
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


async def test_a_dead_letter_is_stored_before_its_response() -> None:
    order: list[str] = []
    broker = MemoryBroker(lambda record: order.append(record.topic))

    await build_pipeline(broker)(build_record({"id": "r", "text": 5}))

    assert order == ["dlq", "responses"]
