"""Texts in parts while they are written: what is published where, and in which order."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from streamproc.clock import SystemClock
from streamproc.errors import OutOfMemory, TooLarge
from streamproc.messages.cloudevents import STRUCTURED
from streamproc.messages.record import Headers, ProducerRecord
from streamproc.request_pipeline import Pipeline
from streamproc.serving.engine import Engine
from streamproc.testing import MemoryBroker, build_pipeline, build_record, build_route
from streamproc.testing.generative import (
    Histories,
    ScriptedStepModel,
    build_decoding_engine,
    build_decoding_spec,
)
from tests.support.contract_answers import only
from tests.support.streamed import REPLIES, TO_REPLIES, number_of, streamed, text_of
from tests.support.translators import build_translating_engine, build_translators

PROMPT: dict[str, Any] = {
    "id": "one",
    "text": "the 中",
    "params": {"stream": True, "max_new_tokens": 40, "min_new_tokens": 40},
}
PROSE = "  One came. Then two!\n\nThree went away, slowly and far.\n"


def pipeline_of(broker: MemoryBroker, engine: Engine, task: str = "text-generation") -> Pipeline:
    return build_pipeline(broker, engine, route=build_route(task=task, reply_topics=[REPLIES]))


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
def writers() -> Engine:
    return build_decoding_engine(build_decoding_spec(max_tokens=128))


async def test_parts_come_in_order_and_the_response_behind_them_with_all_of_the_text(
    broker: MemoryBroker, writers: Engine
) -> None:
    headers = (*TO_REPLIES, ("traceparent", b"00-ab-cd-01"))

    await pipeline_of(broker, writers)(build_record(PROMPT, offset=3, headers=headers))

    found = streamed(broker)
    assert len(found.parts) > 1
    assert found.text == text_of(found.response)
    assert {(part["id"], part["task"]) for part in found.parts} == {("one", "text-generation")}
    assert len({part["attempt"] for part in found.parts}) == 1
    assert {record.key for record in found.records} == {b"key"}
    for record in found.records:
        assert dict(record.headers)["traceparent"] == b"00-ab-cd-01"
        assert dict(record.headers)["streamproc-request-offset"] == b"3"
    assert list(broker.topics) == [REPLIES]


async def test_the_result_is_the_same_without_parts(broker: MemoryBroker, writers: Engine) -> None:
    silent = {**PROMPT, "params": {**PROMPT["params"], "stream": False}}
    pipeline = pipeline_of(broker, writers)
    await pipeline(build_record(PROMPT, headers=TO_REPLIES))
    in_parts = streamed(broker).response
    broker.topics.clear()

    await pipeline(build_record(silent, headers=TO_REPLIES))

    assert streamed(broker).parts == []
    assert streamed(broker).response["result"] == in_parts["result"]


@pytest.mark.parametrize("headers", [(), (("reply-topic", b"responses"),)])
async def test_nothing_but_the_response_goes_to_the_topic_that_all_share(
    broker: MemoryBroker, writers: Engine, headers: Headers
) -> None:
    await pipeline_of(broker, writers)(build_record(PROMPT, headers=headers))

    response = only(broker.values("responses"))
    assert number_of(broker.topics["responses"][0]) is None
    assert response["status"] == "ok"
    (warning,) = response["warnings"]
    assert warning.startswith("params.stream was ignored: ")
    assert "header reply-topic" in warning


async def test_a_task_that_writes_no_text_has_no_parts(broker: MemoryBroker) -> None:
    pipeline = build_pipeline(broker, route=build_route(reply_topics=[REPLIES]))

    await pipeline(build_record({"text": "x", "params": {"stream": True}}, headers=TO_REPLIES))

    assert "params.stream: unknown" in streamed(broker).response["error"]["detail"]


@pytest.mark.parametrize("beams", [1, 3])
async def test_a_translation_comes_by_whole_sentences(broker: MemoryBroker, beams: int) -> None:
    request = {"text": PROSE, "params": {"stream": True, "num_beams": beams}}
    engine = build_translating_engine(build_translators(quorum=1))

    await pipeline_of(broker, engine, "translation")(build_record(request, headers=TO_REPLIES))

    found = streamed(broker)
    assert found.text == text_of(found.response) == PROSE
    assert found.parts[0]["text"].endswith((".", "!", "\n"))


async def test_a_summary_comes_by_chunks(broker: MemoryBroker) -> None:
    engine = build_translating_engine(build_translators(max_tokens=24), task="summarization")
    request = {"text": PROSE.strip(), "params": {"stream": True}}

    await pipeline_of(broker, engine, "summarization")(build_record(request, headers=TO_REPLIES))

    found = streamed(broker)
    assert len(found.response["result"]["chunks"]) > 1
    assert found.text == text_of(found.response)


async def test_a_prompt_that_is_part_of_the_result_is_part_of_the_first_part(
    broker: MemoryBroker, writers: Engine
) -> None:
    request = {**PROMPT, "params": {**PROMPT["params"], "return_full_text": True}}

    await pipeline_of(broker, writers)(build_record(request, headers=TO_REPLIES))

    found = streamed(broker)
    assert found.parts[0]["text"].startswith("the 中")
    assert found.text == text_of(found.response)


async def test_members_that_write_alone_are_not_shown(
    broker: MemoryBroker, writers: Engine
) -> None:
    request = {**PROMPT, "params": {**PROMPT["params"], "return_members": True}}

    await pipeline_of(broker, writers)(build_record(request, headers=TO_REPLIES))

    found = streamed(broker)
    assert found.text == text_of(found.response)
    assert all("result" in member for member in found.response["members"])


async def test_another_attempt_begins_anew_under_another_name(broker: MemoryBroker) -> None:
    steps = []

    def fail_once(rows: Histories) -> None:
        steps.append(len(rows[0]))
        if len(steps) == 20:
            raise OutOfMemory("no room")

    spec = build_decoding_spec(["a"], max_tokens=128)
    model = ScriptedStepModel("a", spec.tokenizer.vocabulary_size, fail_once)
    pipeline = pipeline_of(broker, build_decoding_engine(spec, [model]))

    await pipeline(build_record(PROMPT, headers=TO_REPLIES))

    found = streamed(broker)
    attempts = list(dict.fromkeys(part["attempt"] for part in found.parts))
    assert len(attempts) == 2
    first = [part for part in found.parts if part["attempt"] == attempts[0]]
    assert [part["sequence"] for part in first] == list(range(len(first)))
    assert found.response["status"] == "ok"
    assert found.text == text_of(found.response)


async def test_parts_that_the_broker_refuses_do_no_harm(writers: Engine) -> None:
    refused: list[ProducerRecord] = []

    def refuse(record: ProducerRecord) -> None:
        if number_of(record) is not None and (refused or number_of(record) == b"3"):
            refused.append(record)
            raise TooLarge("record too large", "no")

    broker = MemoryBroker(refuse)
    pipeline = pipeline_of(broker, writers)
    await pipeline(build_record(PROMPT, headers=TO_REPLIES))

    found = streamed(broker)
    assert len(refused) == 1
    assert [part["sequence"] for part in found.parts] == [0, 1, 2]
    count = pipeline.metrics.registry.get_sample_value
    of = {"task": "text-generation"}
    assert count("streamproc_parts_total", of | {"stored": "yes"}) == 3
    assert (count("streamproc_parts_total", of | {"stored": "no"}) or 0) >= 1
    assert found.response["status"] == "ok"
    assert text_of(found.response).startswith(found.text)


async def test_a_deadline_ends_the_parts_with_an_error(broker: MemoryBroker) -> None:
    engine = build_decoding_engine(build_decoding_spec(max_tokens=100_000))
    long = {"stream": True, "max_new_tokens": 90_000, "min_new_tokens": 90_000}
    request = {**PROMPT, "params": long, "deadline_ms": 300}
    now_ms = SystemClock().now_ms()

    await pipeline_of(broker, engine)(
        build_record(request, headers=TO_REPLIES, timestamp_ms=now_ms)
    )

    found = streamed(broker)
    assert found.parts
    assert found.response["error"]["type"] == "deadline"


async def test_parts_of_a_cloud_event_are_events_of_their_own(
    broker: MemoryBroker, writers: Engine
) -> None:
    event = {
        "specversion": "1.0",
        "id": "e1",
        "source": "/shop",
        "type": "shop.asked",
        "subject": "s",
        "data": PROMPT,
    }
    headers: Headers = (*TO_REPLIES, ("content-type", STRUCTURED.encode()))

    await pipeline_of(broker, writers)(build_record(event, headers=headers))

    events = [orjson.loads(record.value or b"") for record in broker.topics[REPLIES]]
    assert {one["type"] for one in events[:-1]} == {"streamproc.text-generation.part.v1"}
    assert events[-1]["type"] == "streamproc.text-generation.response.v1"
    assert len({one["id"] for one in events}) == len(events)
    assert {(one["subject"], one["requestid"]) for one in events} == {("s", "e1")}
    texts = [one["data"]["text"] for one in events[:-1]]
    assert "".join(texts) == events[-1]["data"]["result"]["generated_text"]


async def test_without_a_key_all_go_to_one_topic_partition(
    broker: MemoryBroker, writers: Engine
) -> None:
    await pipeline_of(broker, writers)(build_record(PROMPT, key=None, headers=TO_REPLIES))

    assert {(one.key, one.ordered_by) for one in streamed(broker).records} == {(None, b"one")}
