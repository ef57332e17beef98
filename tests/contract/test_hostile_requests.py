"""Hostile requests of every task: a clear error that names the field, and nobody else harmed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import cache, partial

import pytest
from jsonschema import Draft202012Validator

from streamproc.kafka.topics import load_topics
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
from streamproc.testing.generative import build_decoding_engine, build_decoding_spec
from tests.support.contract_answers import HEADERS, assert_refused, only
from tests.support.hostile_requests import GOOD, HostileRequest, hostile_requests
from tests.support.translators import build_translating_engine

ENGINES: dict[str, Callable[[], Engine]] = {
    "text-classification": build_engine,
    "token-classification": lambda: build_engine(
        build_spec(labels=("O", "B-PER", "I-PER", "LOC")), task="token-classification"
    ),
    "question-answering": lambda: build_engine(
        build_spec(labels=(), max_tokens=24), task="question-answering"
    ),
    "translation": build_translating_engine,
    "summarization": partial(build_translating_engine, task="summarization"),
    "text-generation": lambda: build_decoding_engine(build_decoding_spec(max_tokens=128)),
}


@cache
def schema(task: str) -> Draft202012Validator:
    file = load_topics(Settings().topics_dir).folder / f"schemas/{task}.response.v1.json"
    return Draft202012Validator(json.loads(file.read_text("utf-8")))


@pytest.mark.parametrize(
    ("task", "hostile"),
    [
        pytest.param(task, hostile, id=f"{task}, {hostile.kind}")
        for task in GOOD
        for hostile in hostile_requests(task)
    ],
)
async def test_a_hostile_request_is_refused_naming_the_field_and_its_neighbour_answered(
    task: str, hostile: HostileRequest
) -> None:
    broker, good_broker = MemoryBroker(), MemoryBroker()
    engine, route = ENGINES[task](), build_route(task=task)
    pipeline, good_pipeline = (
        build_pipeline(to, engine, route=route) for to in (broker, good_broker)
    )
    record = build_record({**GOOD[task], **hostile.wrong, "id": "bad"}, offset=7, headers=HEADERS)

    async with asyncio.timeout(20):
        await asyncio.gather(
            pipeline(record), good_pipeline(build_record({**GOOD[task], "id": "good"}))
        )

    assert only(good_broker.values("responses"))["status"] == "ok"
    assert_refused(broker, record, "invalid", "bad")
    response = only(broker.values("responses"))
    assert response["error"]["detail"].startswith(hostile.field)
    assert len(response["error"]["detail"]) < 4000
    schema(task).validate(response)
