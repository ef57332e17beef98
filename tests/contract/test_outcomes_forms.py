"""What an answer carries from its request: key, headers, metadata, form; where it goes."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest

from streamproc.messages.record import Headers, Outgoing
from streamproc.testing import MemoryBroker, build_pipeline, build_record, build_route

CE_BINARY: Headers = (
    ("ce_specversion", b"1.0"),
    ("ce_id", b"event"),
    ("ce_source", b"/shop"),
    ("ce_type", b"review"),
    ("content-type", b"application/json"),
)
STRUCTURED: Headers = (("content-type", b"application/cloudevents+json"),)
EVENT: dict[str, Any] = {"specversion": "1.0", "id": "event", "source": "/shop", "type": "review"}


async def answer_to(value: Any, headers: Headers = (), **how: Any) -> Outgoing:
    broker = MemoryBroker()
    await build_pipeline(broker)(build_record(value, headers=headers, **how))
    (answer,) = broker.topics["responses"]
    return answer


def body_of(answer: Outgoing) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(answer.value or b"")
    return body


@pytest.mark.parametrize("key", [None, b"", b"\x00\xff"])
async def test_the_key_is_copied(key: bytes | None) -> None:
    answer = await answer_to({"id": "r", "text": "x"}, key=key)

    assert answer.key == key


async def test_trace_and_correlation_are_handed_on_and_the_origin_is_told() -> None:
    headers: Headers = (
        ("traceparent", b"00-1-2-01"),
        ("correlation-id", b"\xff\x00"),
        ("secret", b"stays"),
    )

    answer = await answer_to({"id": "r", "text": "x"}, headers, offset=42)

    assert answer.headers == (
        ("content-type", b"application/json"),
        ("traceparent", b"00-1-2-01"),
        ("correlation-id", b"\xff\x00"),
        ("streamproc-request-topic", b"requests"),
        ("streamproc-request-partition", b"0"),
        ("streamproc-request-offset", b"42"),
    )


@pytest.mark.parametrize(
    "metadata",
    [0, False, "", [], {}, {"ä": [1, 2.5, None, {"x": "\u2028"}]}, 2**63, [[[]]]],
    ids=repr,
)
async def test_metadata_is_handed_back_untouched(metadata: Any) -> None:
    answer = await answer_to({"id": "r", "text": "x", "metadata": metadata})

    assert body_of(answer)["metadata"] == metadata


async def test_a_request_without_an_id_is_answered_by_its_position() -> None:
    answer = await answer_to({"text": "x"}, offset=9)

    assert body_of(answer)["id"] == "requests:0:9"


async def test_a_replayed_request_is_answered_under_its_first_id() -> None:
    headers: Headers = (("streamproc-original-id", b"requests:3:9"),)

    answer = await answer_to({"text": "x"}, headers, offset=1)

    assert body_of(answer)["id"] == "requests:3:9"


async def test_a_dead_letter_that_fails_again_says_only_why_it_failed_this_time() -> None:
    broker = MemoryBroker()
    pipeline = build_pipeline(broker)
    await pipeline(build_record({"text": 5}, headers=(("traceparent", b"t"),), offset=3))
    (first,) = broker.topics["dlq"]
    replayed = (*first.headers, ("streamproc-original-id", b"requests:0:3"))

    await pipeline(build_record(first.value, key=first.key, headers=replayed, offset=8))

    (_, second) = broker.topics["dlq"]
    assert sorted(name for name, _ in second.headers) == sorted(name for name, _ in first.headers)
    headers = dict(second.headers)
    assert headers["streamproc-request-offset"] == b"8"
    assert headers["streamproc-error-id"] == b"requests:0:3"
    assert [body["id"] for body in broker.values("responses")] == ["requests:0:3"] * 2


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


@pytest.mark.parametrize(
    ("asked", "topic"), [(b"mine", "mine"), (b"responses", "responses"), (None, "responses")]
)
async def test_a_listed_reply_topic_takes_the_answer(asked: bytes | None, topic: str) -> None:
    broker = MemoryBroker()
    headers: Headers = () if asked is None else (("reply-topic", asked),)

    await build_pipeline(broker, route=build_route(reply_topics=["mine"]))(
        build_record({"id": "r", "text": "x"}, headers=headers)
    )

    assert list(broker.topics) == [topic]


@pytest.mark.parametrize("asked", [b"theirs", b"", b"\xff", b"dlq"])
async def test_a_reply_topic_that_is_not_listed_is_refused_on_the_usual_topic(asked: bytes) -> None:
    broker = MemoryBroker()

    await build_pipeline(broker, route=build_route(reply_topics=["mine"]))(
        build_record({"id": "r", "text": "x"}, headers=(("reply-topic", asked),))
    )

    assert sorted(broker.topics) == ["dlq", "responses"]
    (response,) = broker.values("responses")
    assert response["error"]["title"] == "reply topic not allowed"


async def test_a_cloud_event_with_an_endless_id_is_refused_under_its_position() -> None:
    answer = await answer_to({**EVENT, "id": "e" * 257, "data": {"text": "x"}}, STRUCTURED)

    response = body_of(answer)["data"]
    assert response["id"] == body_of(answer)["id"] == "requests:0:0"
    assert "more than 256 characters" in response["error"]["detail"]
