"""text-generation through the whole pipeline: good requests, and their schema."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from streamproc.clock import SystemClock
from streamproc.kafka.topics import load_topics
from streamproc.request_pipeline import Pipeline
from streamproc.settings import Settings
from streamproc.testing import MemoryBroker, build_pipeline, build_record, build_route
from streamproc.testing.generative import build_decoding_engine, build_decoding_spec
from tests.support.contract_answers import assert_refused, only

TASK = "text-generation"
SCHEMA = Draft202012Validator(
    json.loads(
        (load_topics(Settings().topics_dir).folder / f"schemas/{TASK}.response.v1.json").read_text()
    )
)
GOOD: dict[str, Any] = {"id": "good", "text": "the 👩‍👩‍👧‍👦 and e\u0301\r\n\tשלום 中"}


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
def pipeline(broker: MemoryBroker) -> Pipeline:
    return build_pipeline(
        broker,
        build_decoding_engine(build_decoding_spec(max_tokens=128)),
        route=build_route(task=TASK),
    )


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"next_tokens": 100, "return_members": True},
        {"do_sample": True, "temperature": 0.01, "top_k": 1_000_000, "top_p": 1e-300},
        {"do_sample": True, "temperature": 100, "seed": 2**63 - 1, "return_full_text": True},
        {"repetition_penalty": 100, "no_repeat_ngram_size": 1, "min_new_tokens": 7},
        {"stop": ["x" * 1024] * 16, "combine": "logit_mean", "truncate": "end"},
    ],
)
async def test_an_answer_is_as_its_schema_says(
    broker: MemoryBroker, pipeline: Pipeline, params: dict[str, Any]
) -> None:
    await pipeline(build_record({**GOOD, "params": params}))

    response = only(broker.values("responses"))
    SCHEMA.validate(response)
    assert response["status"] == "ok"
    assert response["coverage"]["characters_covered"] == len(GOOD["text"])


@pytest.mark.parametrize(
    ("body", "field"),
    [({"text": ""}, "text"), ({"params": {"max_new_tokens": 128}}, "params.max_new_tokens")],
)
async def test_what_an_ensemble_has_no_beginning_or_no_room_for_is_refused(
    broker: MemoryBroker, pipeline: Pipeline, body: dict[str, Any], field: str
) -> None:
    record = build_record({**GOOD, **body, "id": "bad"}, offset=7)

    await pipeline(record)

    assert_refused(broker, record, "invalid", "bad")
    assert only(broker.values("responses"))["error"]["detail"].startswith(f"{field}: ")


async def test_the_same_request_gets_the_same_bytes_whatever_it_is_answered_beside(
    broker: MemoryBroker, pipeline: Pipeline
) -> None:
    requests = [
        {"id": f"{number}", "text": GOOD["text"][number:], "params": params}
        for number, params in enumerate(
            [{}, {"do_sample": True, "seed": 4}, {"do_sample": True}, {"next_tokens": 9}] * 3
        )
    ]
    await asyncio.gather(*(pipeline(build_record(request)) for request in requests))
    together = {one["id"]: orjson.dumps(one["result"]) for one in broker.values("responses")}
    broker.topics.clear()

    for request in reversed(requests):
        await pipeline(build_record(request))

    alone = {one["id"]: orjson.dumps(one["result"]) for one in broker.values("responses")}
    assert alone == together


async def test_a_deadline_that_passes_while_a_text_is_written_is_told(
    broker: MemoryBroker,
) -> None:
    engine = build_decoding_engine(build_decoding_spec(max_tokens=100_000))
    pipeline = build_pipeline(broker, engine, route=build_route(task=TASK))

    long = {"max_new_tokens": 90_000, "min_new_tokens": 90_000}
    endless = {**GOOD, "deadline_ms": 200, "params": long}
    await pipeline(build_record(endless, timestamp_ms=SystemClock().now_ms()))

    response = only(broker.values("responses"))
    assert response["error"]["type"] == "deadline"
    assert not broker.topics.get("dlq")
