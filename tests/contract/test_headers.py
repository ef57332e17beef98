"""Headers: those that are handed on, where they send the answer, and those without a value."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from streamproc import worker as bootstrap
from streamproc.errors import SettingsError, TooLarge
from streamproc.kafka.topics import load_topics
from streamproc.messages.record import Headers, ProducerRecord
from streamproc.settings import read_settings
from streamproc.testing import MemoryBroker, build_pipeline, build_record, build_route
from streamproc.worker.run import run_worker
from tests.support.answering import answer_to


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


async def test_headers_are_copied_that_the_settings_name() -> None:
    headers: Headers = (
        ("kafka_correlationId", b"\x00\xff"), ("tenant", None), ("other", b"stays"),
        ("tenant", b"2"), ("traceparent", b"t"),
    )  # fmt: skip

    answer = await answer_with(["tenant", "kafka_correlationId"], headers)

    assert [header for header in answer.headers if header in headers] == [
        header for header in headers if header[0] != "other"
    ]


async def test_of_all_headers_those_are_not_copied_that_say_something_else_in_an_answer() -> None:
    ours: Headers = (
        ("streamproc-request-topic", b"elsewhere"), ("Streamproc-Error-Type", b"failed"),
        ("ce_subject", b"s"), ("Content-Type", b"text/xml"), ("reply-topic", b""),
        ("streamproc-original-id", b"o"),
    )  # fmt: skip

    for copied in (["*"], ["*", *(name for name, _ in ours)], [name for name, _ in ours]):
        answer = await answer_with(copied, (("a", b"1"), ("traceparent", b"t"), *ours))

        names = [name for name, _ in answer.headers]
        assert not set(ours) & set(answer.headers)
        assert names.count("traceparent") == names.count("content-type") == 1
        assert ("a" in names) == ("*" in copied)


async def answer_with(copied: list[str], headers: Headers) -> ProducerRecord:
    broker = MemoryBroker()
    route = replace(build_route(), copied_headers=frozenset(copied))
    await build_pipeline(broker, route=route)(build_record({"text": "x"}, headers=headers))
    (answer,) = broker.topics["responses"]
    return answer


async def test_a_header_without_a_value_stays_without_one_in_a_dead_letter() -> None:
    broker = MemoryBroker()
    headers: Headers = (("a", None), ("b", b""), ("correlation-id", None))

    await build_pipeline(broker)(build_record({"id": "r", "text": 5}, headers=headers))

    assert broker.topics["dlq"][0].headers[:3] == headers
    assert ("correlation-id", None) in broker.topics["responses"][0].headers


@pytest.mark.parametrize(
    ("headers", "topic"),
    [
        ((("reply-topic", b"mine"),), "mine"),
        ((("reply-topic", b"responses"),), "responses"),
        ((("reply-topic", b""),), "responses"),
        ((("reply-topic", None),), "responses"),
        ((), "responses"),
    ],
    ids=str,
)
async def test_a_listed_reply_topic_takes_the_answer_and_an_empty_one_is_none(
    headers: Headers, topic: str
) -> None:
    broker = MemoryBroker()

    await build_pipeline(broker, route=build_route(reply_topics=["mine"]))(
        build_record({"id": "r", "text": "x"}, headers=headers)
    )

    assert list(broker.topics) == [topic]


@pytest.mark.parametrize("asked", [b"theirs", b"\xff", b"dlq"])
async def test_a_reply_topic_that_is_not_listed_is_refused_on_the_usual_topic(asked: bytes) -> None:
    broker = MemoryBroker()

    await build_pipeline(broker, route=build_route(reply_topics=["mine"]))(
        build_record({"id": "r", "text": "x"}, headers=(("reply-topic", asked),))
    )

    assert sorted(broker.topics) == ["dlq", "responses"]
    (response,) = broker.values("responses")
    assert response["error"]["title"] == "reply topic not allowed"


def test_the_settings_name_the_headers_that_a_route_copies() -> None:
    settings = read_settings(copy_headers="tenant, kafka_correlationId,*")
    topic = load_topics(settings.topics_dir).requests()[0]

    route = bootstrap.build_route(topic, settings)

    assert route.copied_headers == {"tenant", "kafka_correlationId", "*"}


async def test_headers_that_can_not_be_copied_are_refused_before_a_worker_starts() -> None:
    settings = read_settings(copy_headers="tenant,ce_subject,Content-Type")

    with pytest.raises(SettingsError, match=r"ce_subject, Content-Type can't be copied"):
        await run_worker(settings, asyncio.Event())


async def test_an_answer_to_a_request_with_endless_headers_is_sent_without_them() -> None:
    def refuse(record: ProducerRecord) -> None:
        if sum(len(name) + len(value or b"") for name, value in record.headers) > 20_000:
            raise TooLarge("record too large", "by its headers")

    broker = MemoryBroker(refuse)
    route = replace(build_route(), copied_headers=frozenset(["*"]))
    event = {"specversion": "1.0", "id": "e", "source": "/s", "type": "t", "big": "x" * 90_000}
    binary = tuple((f"ce_{name}", text.encode()) for name, text in event.items())

    for headers in ((("big", b"x" * 90_000),), binary):
        await build_pipeline(broker, route=route)(
            build_record({"id": "r", "text": "x"}, headers=headers)
        )

    for response in broker.values("responses"):
        assert (response["id"], response["error"]["type"]) == ("r", "too-large")
    assert len(broker.topics["responses"]) == 2


def spring(
    topic: bytes, partition: bytes | None = None, correlation: bytes = b"\x00\xff"
) -> Headers:
    """What Spring's ReplyingKafkaTemplate sends."""
    headers: Headers = (("kafka_replyTopic", topic), ("kafka_correlationId", correlation))
    return headers if partition is None else (*headers, ("kafka_replyPartition", partition))


@pytest.mark.parametrize(
    ("headers", "topic", "topic_partition"),
    [
        (spring(b"mine"), "mine", None),
        (spring(b"mine", b"\x00\x00\x00\x07"), "mine", 7),
        (spring(b"mine", b"\x00\x00\x01\x00"), "mine", 256),
        (spring(b"mine", b""), "mine", None),
        (spring(b"", b"\x00\x00\x00\x07"), "responses", None),
        ((("kafka_replyPartition", b"\x00\x00\x00\x07"),), "responses", None),
        ((*spring(b"theirs"), ("reply-topic", b"mine")), "mine", None),
    ],
    ids=str,
)
async def test_spring_is_answered_where_it_asks_and_gets_its_correlation_id_back(
    headers: Headers, topic: str, topic_partition: int | None
) -> None:
    broker = MemoryBroker()

    await build_pipeline(broker, route=build_route(reply_topics=["mine"]))(
        build_record({"id": "r", "text": "x"}, headers=headers)
    )

    assert list(broker.topics) == [topic]
    (answer,) = broker.topics[topic]
    assert answer.topic_partition == topic_partition
    correlated = [header for header in headers if header[0] == "kafka_correlationId"]
    assert [header for header in answer.headers if header[0].startswith("kafka_")] == correlated


@pytest.mark.parametrize("partition", [b"7", b"\x00\x00\x00\x00\x07", b"\xff\xff\xff\xff"])
async def test_a_reply_partition_that_is_none_is_refused_on_the_usual_topic(
    partition: bytes,
) -> None:
    broker = MemoryBroker()

    await build_pipeline(broker, route=build_route(reply_topics=["mine"]))(
        build_record({"id": "r", "text": "x"}, headers=spring(b"mine", partition))
    )

    assert sorted(broker.topics) == ["dlq", "responses"]
    (response,) = broker.values("responses")
    assert response["error"]["title"] == "reply partition not readable"


async def test_where_spring_wants_an_answer_is_never_copied() -> None:
    answer = await answer_with(["*"], spring(b"", b"\x00\x00\x00\x01"))

    names = [name for name, _ in answer.headers]
    assert "kafka_correlationId" in names
    assert not {"kafka_replyTopic", "kafka_replyPartition"} & set(names)


def test_described_topics_for_replies_need_no_setting() -> None:
    catalogue = load_topics(read_settings().topics_dir)

    route = bootstrap.build_route(catalogue.requests()[0], read_settings(), catalogue.replies())

    assert catalogue.replies() == ["nlp.replies.v1"]
    assert route.reply_topics == {"nlp.replies.v1"}
