"""token-classification through the whole pipeline: good requests, and their schema."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from streamproc.kafka.topics import load_topics
from streamproc.request_pipeline import Pipeline
from streamproc.serving.engine import Engine
from streamproc.settings import Settings
from streamproc.testing import (
    MemoryBroker,
    build_engine,
    build_pipeline,
    build_record,
    build_route,
    build_spec,
)
from tests.support.contract_answers import only

TASK = "token-classification"
SCHEMA = Draft202012Validator(
    json.loads(
        (load_topics(Settings().topics_dir).folder / f"schemas/{TASK}.response.v1.json").read_text()
    )
)
AGGREGATIONS = ("none", "simple", "first", "average", "max")
GOOD = {"id": "good", "text": "the good film, 👩‍👩‍👧‍👦 and e\u0301\r\n\tשלום 中文 " * 5}


@pytest.fixture
def engine() -> Engine:
    spec = build_spec(labels=("O", "B-PER", "I-PER", "LOC"), max_tokens=16)
    return build_engine(spec, task=TASK)


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
def pipeline(broker: MemoryBroker, engine: Engine) -> Pipeline:
    return build_pipeline(broker, engine, route=build_route(task=TASK))


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
async def test_an_answer_is_as_its_schema_says(
    broker: MemoryBroker, pipeline: Pipeline, aggregation: str
) -> None:
    await pipeline(
        build_record({**GOOD, "params": {"aggregation": aggregation, "return_members": True}})
    )

    response = only(broker.values("responses"))
    SCHEMA.validate(response)
    assert response["status"] == "ok"
    assert response["coverage"]["chunks"] > 3
    assert response["result"]["entities"]
    for found in (response["result"], *(member["result"] for member in response["members"])):
        for entity in found["entities"]:
            assert GOOD["text"][entity["start"] : entity["end"]] == entity["word"]


async def test_a_request_gets_the_same_answer_to_the_byte_whatever_it_is_batched_with(
    engine: Engine,
) -> None:
    async def results(requests: list[dict[str, Any]]) -> dict[str, bytes]:
        broker = MemoryBroker()
        pipeline = build_pipeline(broker, engine, route=build_route(task=TASK))
        await asyncio.gather(*(pipeline(build_record(request)) for request in requests))
        return {
            answer["id"]: orjson.dumps(answer["result"]) for answer in broker.values("responses")
        }

    requests = [
        {"id": f"{number}", "text": "film good bad x " * number, "params": {"aggregation": way}}
        for number, way in enumerate(AGGREGATIONS * 4)
    ]
    together = await results(requests)
    backwards = await results(requests[::-1])
    alone = [await results([request]) for request in requests]

    assert together == backwards
    for found in alone:
        assert found.items() <= together.items()
