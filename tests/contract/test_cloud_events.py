"""A CloudEvent is answered by one, which hands on what the standard lets it."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest

from streamproc.errors import TooLarge
from streamproc.messages.record import Headers, ProducerRecord
from streamproc.testing import MemoryBroker, build_pipeline, build_record
from tests.support.answering import CE_BINARY, EVENT, STRUCTURED, answer_to, body_of


async def test_a_structured_cloud_event_is_answered_by_one() -> None:
    answer = await answer_to({**EVENT, "data": {"text": "x"}}, STRUCTURED)

    event = body_of(answer)
    assert dict(answer.headers)["content-type"] == b"application/cloudevents+json"
    assert event["specversion"] == "1.0"
    assert event["id"] == "event"
    assert event["source"] == "/streamproc/text-classification"
    assert event["type"] == "streamproc.text-classification.response.v1"
    assert event["datacontenttype"] == "application/json"
    assert event["time"].endswith("+00:00")
    assert (event["data"]["id"], event["data"]["status"]) == ("event", "ok")


async def test_data_of_a_cloud_event_may_be_base64() -> None:
    data = base64.b64encode(orjson.dumps({"id": "own", "text": "x"})).decode()

    answer = await answer_to({**EVENT, "data_base64": data}, STRUCTURED)

    assert body_of(answer)["data"]["id"] == "own"


async def test_a_binary_cloud_event_is_answered_by_one() -> None:
    answer = await answer_to({"text": "x"}, CE_BINARY)

    headers = dict(answer.headers)
    assert headers["content-type"] == b"application/json"
    assert headers["ce_specversion"] == b"1.0"
    assert headers["ce_id"] == b"event"
    assert headers["ce_source"] == b"/streamproc/text-classification"
    assert headers["ce_type"] == b"streamproc.text-classification.response.v1"
    assert (body_of(answer)["id"], body_of(answer)["status"]) == ("event", "ok")


EXTENSIONS: dict[str, Any] = {
    "subject": "order-7", "traceparent": "00-1-2-01", "sampledrate": 30, "urgent": False,
}  # fmt: skip


async def test_a_structured_event_hands_on_subject_and_extensions_with_their_types() -> None:
    event = {
        **EVENT, **EXTENSIONS, "time": "2026-11-28T00:00:00Z", "dataschema": "https://x.test/s",
        "datacontenttype": "application/json; charset=utf-8",
    }  # fmt: skip

    answer = body_of(await answer_to({**event, "data": {"text": "x"}}, STRUCTURED))

    assert {name: answer[name] for name in EXTENSIONS} == EXTENSIONS
    assert (answer["requestid"], answer["requestsource"]) == ("event", "/shop")
    assert answer["requesttype"] == "review"
    # These described the request and its data.
    assert "dataschema" not in answer
    assert answer["time"] != event["time"]
    assert answer["datacontenttype"] == "application/json"


async def test_a_binary_event_hands_on_subject_and_extensions_as_headers() -> None:
    more: Headers = (
        ("ce_subject", b"order-7"), ("ce_tenant", "Zürich".encode()), ("ce_dataschema", b"https"),
    )  # fmt: skip

    answer = await answer_to({"text": "x"}, (*CE_BINARY, *more))

    headers = dict(answer.headers)
    assert headers["ce_subject"] == b"order-7"
    assert headers["ce_tenant"] == "Zürich".encode()
    assert headers["ce_requestid"] == b"event"
    assert headers["ce_requestsource"] == b"/shop"
    assert headers["ce_requesttype"] == b"review"
    assert "ce_dataschema" not in headers
    assert len(headers) == len(answer.headers)


@pytest.mark.parametrize(
    "attribute",
    [
        {"Upper": "x"}, {"with_score": "x"}, {"object": {"a": 1}}, {"array": [1]},
        {"decimal": 1.5}, {"long": 2**31}, {"nothing": None}, {"": "x"},
    ],
    ids=repr,
)  # fmt: skip
async def test_what_the_standard_knows_as_no_attribute_is_not_handed_on(
    attribute: dict[str, Any],
) -> None:
    answer = body_of(await answer_to({**EVENT, **attribute, "data": {"text": "x"}}, STRUCTURED))

    assert answer["data"]["status"] == "ok"
    assert not attribute.keys() & answer.keys()


async def test_an_events_own_attributes_are_not_taken_from_its_request() -> None:
    chained = {"requestid": "of an earlier hop", "requestsource": "/elsewhere"}

    answer = body_of(await answer_to({**EVENT, **chained, "data": {"text": "x"}}, STRUCTURED))

    assert (answer["requestid"], answer["requestsource"]) == ("event", "/shop")


async def test_a_structured_event_without_its_content_type_is_recognised() -> None:
    answer = await answer_to({**EVENT, "subject": "s", "data": {"text": "x"}})

    event = body_of(answer)
    assert dict(answer.headers)["content-type"] == b"application/cloudevents+json"
    assert (event["subject"], event["data"]["status"]) == ("s", "ok")


async def test_a_structured_event_without_its_content_type_is_told_what_it_lacks() -> None:
    answer = await answer_to({"specversion": "1.0", "id": "event", "data": {"text": "x"}})

    error = body_of(answer)["data"]["error"]
    assert (error["type"], error["title"]) == ("invalid", "not a CloudEvent")
    assert "'source'" in error["detail"]


async def test_a_plain_request_may_have_a_field_called_specversion() -> None:
    answer = await answer_to({"id": "r", "text": "x", "specversion": "1.0"})

    assert (body_of(answer)["id"], body_of(answer)["status"]) == ("r", "ok")


@pytest.mark.parametrize("lacking", ["specversion", "source", "type", "id"])
async def test_an_event_that_lacks_an_attribute_is_refused_under_the_id_of_its_answer(
    lacking: str,
) -> None:
    binary = tuple(header for header in CE_BINARY if header[0] != f"ce_{lacking}")
    structured = {name: value for name, value in EVENT.items() if name != lacking}
    request = {"id": "own", "text": "x", "metadata": 1.0}
    # Without its version a binary event is a plain request, and is answered.
    refused = lacking != "specversion"

    plain = body_of(await answer_to(request, binary))
    event = body_of(await answer_to({**structured, "data": request}, STRUCTURED))

    assert (plain["id"], plain["metadata"], "error" in plain) == ("own", 1.0, refused)
    assert (event["data"]["id"], event["data"]["metadata"]) == ("own", 1.0)
    assert event["data"]["error"]["title"] == "not a CloudEvent"


async def test_an_event_nested_too_deeply_is_refused_under_the_id_of_its_answer() -> None:
    deep: Any = 1
    for _ in range(70):
        deep = [deep]

    for event in ({"data": {"id": "own", "x": deep}}, {"data": {"id": "own"}, "x": deep}):
        response = body_of(await answer_to({**EVENT, **event}, STRUCTURED))["data"]

        assert response["id"] == "own"
        assert response["error"]["title"] == "nested too deeply"


@pytest.mark.parametrize("lacking", ["specversion", "id", "source", "type"])
async def test_a_cloud_event_that_lacks_an_attribute_is_answered_in_its_form(lacking: str) -> None:
    event = {name: value for name, value in EVENT.items() if name != lacking}

    answer = await answer_to({**event, "data": {"text": "x"}}, STRUCTURED)

    response = body_of(answer)["data"]
    assert response["id"] == ("requests:0:0" if lacking == "id" else "event")
    assert response["error"]["type"] == "invalid"
    assert repr(lacking) in response["error"]["detail"]


@pytest.mark.parametrize(
    "wrong",
    [{"specversion": "0.3"}, {"data": "text"}, {"data_base64": "%"}, {"data_base64": 5}],
    ids=repr,
)
async def test_a_cloud_event_that_is_none_is_answered_as_invalid(wrong: dict[str, Any]) -> None:
    answer = await answer_to({**EVENT, "data": {"text": "x"}, **wrong}, STRUCTURED)

    response = body_of(answer)["data"]
    assert (response["id"], response["error"]["type"]) == ("event", "invalid")


async def test_a_cloud_event_with_an_endless_id_is_refused_under_its_position() -> None:
    answer = await answer_to({**EVENT, "id": "e" * 257, "data": {"text": "x"}}, STRUCTURED)

    response = body_of(answer)["data"]
    assert response["id"] == body_of(answer)["id"] == "requests:0:0"
    assert "more than 256 characters" in response["error"]["detail"]


@pytest.mark.parametrize("value", [b"[]", b"{", None])
async def test_a_structured_event_that_is_none_at_all_is_unreadable_and_not_answered(
    value: bytes | None,
) -> None:
    broker = MemoryBroker()

    await build_pipeline(broker)(build_record(value, headers=STRUCTURED))

    assert list(broker.topics) == ["dlq"]
    assert ("streamproc-error-type", b"unreadable") in broker.topics["dlq"][0].headers


@pytest.mark.parametrize(
    ("content_type", "value"),
    [
        (b"application/cloudevents-batch+json; charset=utf-8", b'[{"id":"e"}]'),
        (b"application/cloudevents+avro", b"\x00\xff"),
        (b"application/cloudevents+protobuf", b""),
    ],
)
async def test_an_event_in_another_format_is_told_which_one_is_taken(
    content_type: bytes, value: bytes
) -> None:
    broker = MemoryBroker()

    await build_pipeline(broker)(build_record(value, headers=(("content-type", content_type),)))

    headers = dict(broker.topics["dlq"][0].headers)
    assert headers["streamproc-error-title"] == b"not a CloudEvent"
    assert b"this takes application/cloudevents+json" in (headers["streamproc-error-detail"] or b"")


async def test_an_answer_that_endless_attributes_make_too_large_is_sent_without_them() -> None:
    def refuse(record: ProducerRecord) -> None:
        if len(record.value or b"") > 20_000:
            raise TooLarge("record too large", "by its value")

    broker = MemoryBroker(refuse)
    event = {**EVENT, "big": "x" * 90_000, "data": {"id": "own", "text": "x"}}

    await build_pipeline(broker)(build_record(event, headers=STRUCTURED))

    (answer,) = broker.values("responses")
    assert (answer["id"], answer["data"]["error"]["type"]) == ("own", "too-large")
    assert "big" not in answer
