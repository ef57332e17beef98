"""Requests that are taken back: how they end, and what becomes of those beside them."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from streamproc.clock import SystemClock
from streamproc.errors import OutOfMemory
from streamproc.kafka.topics import load_topics
from streamproc.messages.record import Headers, Record
from streamproc.messages.reply_address import SPRING_CORRELATION_ID
from streamproc.request_pipeline import Pipeline
from streamproc.serving.cancellation import Cancels
from streamproc.serving.engine import Engine
from streamproc.serving.inference.executor import ModelExecutor
from streamproc.settings import Settings
from streamproc.testing import (
    MemoryBroker,
    ScriptedSession,
    build_engine,
    build_pipeline,
    build_record,
    build_route,
    build_spec,
)
from streamproc.testing.generative import (
    Histories,
    ScriptedStepModel,
    build_decoding_engine,
    build_decoding_spec,
)
from tests.support.answer_caches import RowCounter, build_cache
from tests.support.answering import CE_BINARY, EVENT, STRUCTURED
from tests.support.streamed import REPLIES, TO_REPLIES, streamed

FILM = {"text": "good film"}
LONG = {"max_new_tokens": 400, "min_new_tokens": 400}
SCHEMA = Draft202012Validator(
    json.loads(
        (
            load_topics(Settings().topics_dir).folder
            / "schemas/text-classification.response.v1.json"
        ).read_text()
    )
)


def asked(name: str, body: dict[str, Any], headers: Headers = (), **how: Any) -> Record:
    """A request whose name is its id, and what it is taken back by."""
    own = (SPRING_CORRELATION_ID, name.encode())
    return build_record({"id": name, **body}, headers=(own, *headers), **how)


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
def cancels() -> Cancels:
    return Cancels(SystemClock())


def counted(
    executor: ModelExecutor, then: Callable[[Any], None] | None = None
) -> tuple[Engine, RowCounter]:
    counter = RowCounter(then)
    session = ScriptedSession("a", 2, before=counter)
    return build_engine(build_spec(["a"]), [session], executor=executor), counter


def held_by(go: threading.Event) -> Callable[[Any], None]:
    """Has models wait for it."""

    def wait(_: Any) -> None:
        go.wait(30)

    return wait


def counts(pipeline: Pipeline, task: str = "text-classification") -> dict[str, float]:
    """Of the metrics that a request may be in."""
    labels = {"task": task, "lane": "interactive"}
    value = pipeline.metrics.registry.get_sample_value
    named = {
        "before": ("streamproc_cancelled_requests_total", {"stage": "before"}),
        "under-way": ("streamproc_cancelled_requests_total", {"stage": "under-way"}),
        "cancelled": ("streamproc_requests_total", {"status": "cancelled"}),
        "error": ("streamproc_requests_total", {"status": "error"}),
        "errors": ("streamproc_errors_total", {"type": "cancelled"}),
    }
    found = {name: value(metric, labels | more) for name, (metric, more) in named.items()}
    return {name: count for name, count in found.items() if count}


def answers(broker: MemoryBroker) -> dict[str, Any]:
    found = broker.values("responses")
    by_id = {one["id"]: one for one in found}
    assert len(by_id) == len(found)
    return by_id


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - threads of models
            await asyncio.sleep(0.005)


async def test_a_request_that_was_taken_back_before_is_not_begun(
    broker: MemoryBroker, cancels: Cancels, executor: ModelExecutor
) -> None:
    engine, counter = counted(executor)
    pipeline = build_pipeline(broker, engine, cancels=cancels)
    cancels.take(b"gone")

    await pipeline(asked("gone", {**FILM, "metadata": {"a": 1}}))
    await pipeline(asked("there", FILM, offset=1))

    found = answers(broker)
    SCHEMA.validate(found["gone"])
    assert (found["gone"]["status"], found["gone"]["error"]["type"]) == ("error", "cancelled")
    assert found["gone"]["metadata"] == {"a": 1}
    assert found["there"]["status"] == "ok"
    assert counter.rows == 1
    assert not broker.topics.get("dlq")
    assert counts(pipeline) == {"before": 1, "cancelled": 1}


async def test_its_response_has_the_form_and_the_headers_of_any(
    broker: MemoryBroker, cancels: Cancels
) -> None:
    pipeline = build_pipeline(broker, cancels=cancels)
    cancels.take(b"gone")

    await pipeline(asked("gone", FILM, CE_BINARY))
    await pipeline(asked("gone", {**EVENT, "data": {**FILM, "id": "gone"}}, STRUCTURED))

    binary, structured = broker.topics["responses"]
    for record in (binary, structured):
        assert dict(record.headers)[SPRING_CORRELATION_ID] == b"gone"
        assert record.key == b"key"
    body = orjson.loads(structured.value or b"")
    kind = "streamproc.text-classification.response.v1"
    assert (dict(binary.headers)["ce_type"], body["type"]) == (kind.encode(), kind)
    for answer in (orjson.loads(binary.value or b""), body["data"]):
        assert (answer["id"], answer["error"]["type"]) == ("gone", "cancelled")


async def test_what_can_not_be_answered_anyway_is_told_so_and_kept(
    broker: MemoryBroker, cancels: Cancels
) -> None:
    cancels.take(b"gone")

    await build_pipeline(broker, cancels=cancels)(asked("gone", {"params": 7}))

    assert answers(broker)["gone"]["error"]["type"] == "invalid"
    assert len(broker.topics["dlq"]) == 1


class Writers:
    """An ensemble that writes, and which texts each of its steps had in it, by their first byte.

    may_write: called in a model's thread before each step
    """

    def __init__(self, may_write: Callable[[Histories], None] = lambda _: None) -> None:
        self.steps: list[set[int]] = []
        spec = build_decoding_spec(["a"], max_tokens=512)

        def note(rows: Histories) -> None:
            self.steps.append({row[0] for row in rows})
            may_write(rows)

        model = ScriptedStepModel("a", spec.tokenizer.vocabulary_size, note)
        self.engine = build_decoding_engine(spec, [model])
        self._tokenizer = spec.tokenizer

    def first_token(self, text: str) -> int:
        return int(next(iter(self._tokenizer.stream(text))).ids[0])


def writing(broker: MemoryBroker, engine: Engine, cancels: Cancels | None) -> Pipeline:
    route = build_route(task="text-generation", reply_topics=[REPLIES])
    return build_pipeline(broker, engine, route=route, cancels=cancels)


async def test_a_text_that_is_taken_back_is_not_written_on_and_its_neighbour_is_unchanged(
    broker: MemoryBroker, cancels: Cancels
) -> None:
    alone = MemoryBroker()
    await writing(alone, Writers().engine, None)(asked("b", {"text": "b", "params": LONG}))
    writers = Writers()
    pipeline = writing(broker, writers.engine, cancels)
    a, b = (writers.first_token(name) for name in "ab")
    answering = [
        asyncio.create_task(pipeline(asked(name, {"text": name, "params": LONG}, offset=offset)))
        for offset, name in enumerate("ab")
    ]
    await until(lambda: sum({a, b} <= step for step in writers.steps) > 5)

    cancels.take(b"a")
    await answering[0]
    # The step that is under way may still have it.
    left = len(writers.steps) + 1
    await answering[1]

    found = answers(broker)
    assert found["a"]["error"]["type"] == "cancelled"
    assert orjson.dumps(found["b"]["result"]) == orjson.dumps(answers(alone)["b"]["result"])
    assert sum(a in step for step in writers.steps) < LONG["max_new_tokens"]
    assert not any(a in step for step in writers.steps[left:])
    assert len(writers.steps) > left
    assert counts(pipeline, "text-generation") == {"under-way": 1, "cancelled": 1}


async def test_its_parts_stop_and_its_response_is_behind_them(
    broker: MemoryBroker, cancels: Cancels
) -> None:
    pipeline = writing(broker, Writers().engine, cancels)
    request = {"text": "a", "params": {**LONG, "stream": True}}
    answering = asyncio.create_task(pipeline(asked("a", request, TO_REPLIES)))
    await until(lambda: len(broker.topics.get(REPLIES, ())) > 3)

    cancels.take(b"a")
    await answering
    told = len(broker.topics[REPLIES])
    await asyncio.sleep(0.05)

    found = streamed(broker)
    assert found.response["error"]["type"] == "cancelled"
    assert len(found.records) == told
    assert list(broker.topics) == [REPLIES]


async def test_the_chunks_of_a_document_that_still_wait_are_left_out(
    broker: MemoryBroker, cancels: Cancels, executor: ModelExecutor
) -> None:
    go = threading.Event()
    engine, counter = counted(executor, held_by(go))
    pipeline = build_pipeline(broker, engine, cancels=cancels)
    answering = asyncio.create_task(pipeline(asked("book", {"text": "good film " * 500})))
    await until(lambda: counter.rows > 0)

    cancels.take(b"book")
    await answering
    begun = counter.rows
    go.set()
    await engine.drain()

    assert answers(broker)["book"]["error"]["type"] == "cancelled"
    # No more than what was handed to models by then.
    assert counter.rows <= begun + engine.max_document_chunks
    assert engine.scorer.queued_tokens == 0


async def test_a_request_that_is_tried_again_and_again_is_taken_back(
    broker: MemoryBroker, cancels: Cancels, executor: ModelExecutor
) -> None:
    tried = threading.Event()

    def fail(_: object) -> None:
        tried.set()
        raise OutOfMemory("no memory")

    engine, _ = counted(executor, fail)
    pipeline = build_pipeline(broker, engine, cancels=cancels, attempts=0)
    answering = asyncio.create_task(pipeline(asked("one", FILM)))
    await until(tried.is_set)

    cancels.take(b"one")
    await answering

    assert answers(broker)["one"]["error"]["type"] == "cancelled"


@pytest.mark.parametrize("gone", ["first", "second", "third"])
async def test_who_shares_a_computation_with_one_that_is_taken_back_is_answered(
    broker: MemoryBroker, cancels: Cancels, executor: ModelExecutor, gone: str
) -> None:
    go = threading.Event()
    engine, counter = counted(executor, held_by(go))
    pipeline = build_pipeline(broker, engine, cache=build_cache(), cancels=cancels)
    names = ["first", "second", "third"]
    answering = {}
    for offset, name in enumerate(names):
        answering[name] = asyncio.create_task(pipeline(asked(name, FILM, offset=offset)))
        await until(lambda: counter.rows > 0)

    cancels.take(gone.encode())
    await answering[gone]
    go.set()
    await asyncio.gather(*answering.values())

    found = answers(broker)
    assert found.pop(gone)["error"]["type"] == "cancelled"
    assert [one["status"] for one in found.values()] == ["ok", "ok"]
    assert len({orjson.dumps(one["result"]) for one in found.values()}) == 1
    # One computes for all that are left.
    assert counter.rows == (2 if gone == "first" else 1)


async def test_one_whose_task_is_cancelled_for_another_reason_has_no_response(
    broker: MemoryBroker, cancels: Cancels
) -> None:
    pipeline = writing(broker, Writers().engine, cancels)
    answering = asyncio.create_task(pipeline(asked("a", {"text": "a", "params": LONG})))
    await asyncio.sleep(0.05)

    cancels.take(b"a")
    answering.cancel()
    await asyncio.wait({answering})

    assert answering.cancelled()
    assert broker.topics == {}
