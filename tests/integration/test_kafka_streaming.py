"""Texts in parts through a real Kafka: order, one response, and the client that reads them."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import numpy as np
import orjson
import pytest
from tenacity import stop_never

from streamproc.client.kafka_transport import KafkaTransport
from streamproc.errors import SettingsError
from streamproc.kafka.client import RequestClient
from streamproc.kafka.producer import Producer
from streamproc.kafka.topic_reader import read_topic
from streamproc.messages.lane import Lane
from streamproc.messages.part_reader import TextPart, is_part
from streamproc.messages.publishing import ReplyRoute
from streamproc.messages.record import ProducerRecord, Record
from streamproc.metrics import Metrics
from streamproc.request_pipeline import Pipeline
from streamproc.serving.engine import Engine, Engines
from streamproc.testing.generative import (
    Histories,
    ScriptedStepModel,
    build_decoding_engine,
    build_decoding_spec,
)
from tests.support.kafka_place import CLOCK, Handle, Place, working

pytestmark = pytest.mark.kafka

LONG: dict[str, Any] = {"max_new_tokens": 60, "min_new_tokens": 60}


def writing(place: Place, engine: Engine) -> Handle:
    """A worker's handler, which answers to the place's topic only who names it."""
    route = ReplyRoute(
        "text-generation",
        Lane.INTERACTIVE,
        "tiny",
        responses=f"{place.name}.shared",
        dead_letters=f"{place.name}.dlq",
        reply_topics=frozenset({place.responses}),
        max_message_bytes=1 << 20,
    )
    pipelines: dict[Producer, Pipeline] = {}

    async def handle(producer: Producer, record: Record) -> None:
        if producer not in pipelines:
            pipelines[producer] = Pipeline(
                route,
                Engines({"tiny": engine}),
                producer.send,
                clock=CLOCK,
                metrics=Metrics(),
                stop_after=stop_never,
                hand_over=producer.hand_over,
            )
        await pipelines[producer](record)

    return handle


def engine() -> Engine:
    return build_decoding_engine(build_decoding_spec(max_tokens=128))


def client(place: Place) -> RequestClient:
    return RequestClient(
        place.settings,
        requests_topic=place.requests,
        responses_topic=f"{place.name}.shared",
        reply_topic=place.responses,
    )


async def told(place: Place, count: int) -> list[Record]:
    """What came to the place's topic, once there are so many responses."""
    found: list[Record] = []

    async def all_there() -> bool:
        found[:] = [record async for record in read_topic(place.settings, place.responses)]
        return sum(not is_part(record.headers) for record in found) >= count

    async with asyncio.timeout(40):
        while not await all_there():  # noqa: ASYNC110 - Kafka's state
            await asyncio.sleep(0.2)
    return found


async def test_many_texts_are_streamed_at_once_each_to_who_asked(kafka: str) -> None:
    place = Place(kafka, topic_partitions=3)
    await place.make()

    async def stream(asker: RequestClient, text: str) -> tuple[str, Any]:
        *parts, response = [
            one async for one in asker.stream({"text": text, "params": LONG, "metadata": text})
        ]
        assert all(isinstance(part, TextPart) and not part.replaces for part in parts)
        return "".join(part.text for part in parts if isinstance(part, TextPart)), response

    async with working(place, writing(place, engine())), client(place) as one, client(place) as two:
        texts = [f"text {number} 中" for number in range(12)]
        found = await asyncio.gather(
            *(stream(asker, text) for text in texts for asker in (one, two))
        )

    for text, (shown, response) in zip([t for t in texts for _ in range(2)], found, strict=True):
        assert response["metadata"] == text
        assert shown == response["result"]["generated_text"]


@pytest.mark.parametrize("key", [b"mine", None])
async def test_the_parts_of_a_request_lie_before_its_response_in_one_topic_partition(
    kafka: str, key: bytes | None
) -> None:
    place = Place(kafka, topic_partitions=4)
    await place.make()
    async with working(place, writing(place, engine())):
        producer = Producer(place.settings, CLOCK)
        await producer.start()
        for number in range(8):
            body = {"id": str(number), "text": "x", "params": {**LONG, "stream": True}}
            named = (("reply-topic", place.responses.encode()),)
            await producer.send(ProducerRecord(place.requests, key, orjson.dumps(body), named))
        await producer.stop()
        found = await told(place, 8)

    for number in range(8):
        own = [one for one in found if orjson.loads(one.value or b"")["id"] == str(number)]
        assert len({one.topic_partition for one in own}) == 1
        in_order = sorted(own, key=lambda one: one.offset)
        assert [is_part(one.headers) for one in in_order] == [True] * (len(own) - 1) + [False]
        *parts, response = (orjson.loads(one.value or b"") for one in in_order)
        assert [part["sequence"] for part in parts] == list(range(len(parts)))
        text = "".join(part["text"] for part in parts)
        assert text == response["result"]["generated_text"]


async def test_an_answer_that_is_not_streamed_may_still_be_asked_with_parts(kafka: str) -> None:
    place = Place(kafka, topic_partitions=1)
    await place.make()
    async with working(place, writing(place, engine())), client(place) as asker:
        response = await asker.ask({"text": "x", "params": {**LONG, "stream": True}})

    assert response["status"] == "ok"
    assert "warnings" not in response


async def test_a_program_may_stream_with_what_it_may_ask_with(kafka: str) -> None:
    place = Place(kafka, topic_partitions=1)
    await place.make()
    body = {"text": "x", "params": None, "metadata": np.arange(3)}
    async with working(place, writing(place, engine())), client(place) as asker:
        *parts, response = [one async for one in KafkaTransport(asker).stream(body)]

    assert isinstance(response, dict)
    assert response["metadata"] == [0, 1, 2]
    shown = "".join(part.text for part in parts if isinstance(part, TextPart))
    assert shown == response["result"]["generated_text"]


async def test_after_a_worker_that_died_the_text_goes_on_where_it_was(kafka: str) -> None:
    place = Place(kafka, topic_partitions=1)
    await place.make()
    async with client(place) as asker:
        streaming = asker.stream({"text": "x", "params": LONG})
        async with working(place, writing(place, stuck_engine())) as (_, stop, running):
            first = await anext(streaming)
            assert isinstance(first, TextPart)
            stop.set()
            await asyncio.wait({running})
        async with working(place, writing(place, engine())):
            *parts, response = [one async for one in streaming]

    shown = first.text + "".join(part.text for part in parts if isinstance(part, TextPart))
    assert isinstance(response, dict)
    assert shown == response["result"]["generated_text"]
    found = [orjson.loads(one.value or b"") for one in await told(place, 1)]
    assert len({one["attempt"] for one in found if "attempt" in one}) == 2


def stuck_engine() -> Engine:
    """An engine whose members write half of a text, and then hang until the worker is gone."""
    spec = build_decoding_spec(max_tokens=128)

    def hang(rows: Histories) -> None:
        if len(rows[0]) > LONG["max_new_tokens"] / 2:
            never.wait(15)

    never, size = threading.Event(), spec.tokenizer.vocabulary_size
    models = [ScriptedStepModel(member.name, size, hang) for member in spec.members]
    return build_decoding_engine(spec, models)


async def test_without_a_topic_of_its_own_a_client_says_what_streaming_needs(kafka: str) -> None:
    place = Place(kafka, topic_partitions=1)
    await place.make()
    async with RequestClient(
        place.settings, requests_topic=place.requests, responses_topic=place.responses
    ) as asker:
        with pytest.raises(SettingsError, match="reply_topic="):
            await anext(asker.stream({"text": "x"}))
