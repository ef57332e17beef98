"""question-answering through the whole pipeline: good requests, long ones, their schema."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from streamproc.kafka.topics import load_topics
from streamproc.request_pipeline import Pipeline
from streamproc.settings import Settings
from streamproc.testing import (
    MemoryBroker,
    build_engine,
    build_pipeline,
    build_record,
    build_route,
    build_spec,
)
from tests.support.contract_answers import assert_refused, only

TASK = "question-answering"
SCHEMA = Draft202012Validator(
    json.loads(
        (load_topics(Settings().topics_dir).folder / f"schemas/{TASK}.response.v1.json").read_text()
    )
)
CONTEXT = "the good film, 👩‍👩‍👧‍👦 and e\u0301\r\n\tשלום 中文 " * 5
GOOD = {"id": "good", "question": "the film?", "context": CONTEXT}


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
def pipeline(broker: MemoryBroker) -> Pipeline:
    engine = build_engine(build_spec(labels=(), max_tokens=24), task=TASK)
    return build_pipeline(broker, engine, route=build_route(task=TASK))


@pytest.mark.parametrize(
    "params",
    [{}, {"top_k": 9}, {"no_answer_threshold": -1, "top_k": 3}, {"handle_impossible_answer": True}],
)
async def test_an_answer_is_as_its_schema_says(
    broker: MemoryBroker, pipeline: Pipeline, params: dict[str, Any]
) -> None:
    await pipeline(build_record({**GOOD, "params": {**params, "return_members": True}}))

    response = only(broker.values("responses"))
    SCHEMA.validate(response)
    assert response["status"] == "ok"
    assert response["coverage"]["chunks"] > 3
    for found in (response["result"], *(member["result"] for member in response["members"])):
        for answer in found["answers"]:
            assert CONTEXT[answer["start"] : answer["end"]] == answer["answer"]


async def test_a_question_that_fills_a_window_is_refused(
    broker: MemoryBroker, pipeline: Pipeline
) -> None:
    record = build_record({**GOOD, "question": "x " * 450_000, "id": "bad"}, offset=7)

    await pipeline(record)

    assert_refused(broker, record, "invalid", "bad")
    assert only(broker.values("responses"))["error"]["detail"].startswith("question: ")


async def test_a_context_of_one_word_as_long_as_a_request_may_be_is_answered(
    broker: MemoryBroker, pipeline: Pipeline
) -> None:
    await pipeline(build_record({**GOOD, "context": "x" * 900_000, "params": {"top_k": 100}}))

    response = only(broker.values("responses"))
    assert response["status"] == "ok"
    assert response["coverage"]["characters_covered"] == 900_000
