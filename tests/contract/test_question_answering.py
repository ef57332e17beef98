"""question-answering through the whole pipeline: good requests, hostile ones, their schema."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from streamproc.kafka.topics import load_topics
from streamproc.pipeline import Pipeline
from streamproc.settings import Settings
from streamproc.testing import (
    MemoryBroker,
    build_engine,
    build_pipeline,
    build_profile,
    build_record,
    build_route,
)

from .answers import HEADERS, assert_refused, only

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
    engine = build_engine(build_profile(labels=(), max_tokens=24), task=TASK)
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


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        pytest.param({"question": ""}, "question", id="question empty"),
        pytest.param({"question": None}, "question", id="question null"),
        pytest.param({"question": "good " * 100_000}, "question", id="question of 500 kB"),
        pytest.param({"question": "x" * 900_000}, "question", id="question of one word"),
        pytest.param({"context": ""}, "context", id="context empty"),
        pytest.param({"context": [CONTEXT]}, "context", id="context a list"),
        pytest.param({"params": {"top_k": 0}}, "params.top_k", id="none wanted"),
        pytest.param({"params": {"top_k": -1}}, "params.top_k", id="fewer than none"),
        pytest.param({"params": {"top_k": 10**15}}, "params.top_k", id="far too many"),
        pytest.param(
            {"params": {"max_answer_tokens": 1e308}}, "params.max_answer_tokens", id="1e308"
        ),
        pytest.param({"params": {"combine": "vote"}}, "params.combine", id="a vote"),
        pytest.param({"params": {"combine": "x" * 900_000}}, "params.combine", id="combine long"),
        pytest.param(
            {"params": {"no_answer_threshold": 1e300}}, "params.no_answer_threshold", id="threshold"
        ),
        pytest.param({"params": {"max_tokens": 10**9}}, "params.max_tokens", id="unknown"),
    ],
)
async def test_hostile_requests_are_refused_by_name_and_harm_nobody(
    broker: MemoryBroker, pipeline: Pipeline, wrong: dict[str, Any], field: str
) -> None:
    record = build_record({**GOOD, **wrong, "id": "bad"}, offset=7, headers=HEADERS)

    await pipeline(record)

    assert_refused(broker, record, "invalid", "bad")
    response = only(broker.values("responses"))
    assert response["error"]["detail"].startswith(f"{field}: ")
    assert len(response["error"]["detail"]) < 4000
    SCHEMA.validate(response)
    await pipeline(build_record(GOOD))
    assert broker.values("responses")[-1]["status"] == "ok"


async def test_a_context_of_one_word_as_long_as_a_request_may_be_is_answered(
    broker: MemoryBroker, pipeline: Pipeline
) -> None:
    await pipeline(build_record({**GOOD, "context": "x" * 900_000, "params": {"top_k": 100}}))

    response = only(broker.values("responses"))
    assert response["status"] == "ok"
    assert response["coverage"]["characters_covered"] == 900_000
