from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count
from typing import Any

import orjson
import pytest

from streamproc.caching.kept import Kept
from streamproc.clock import Timed
from streamproc.errors import OutOfMemory
from streamproc.messages.lane import Lane
from streamproc.messages.request import Request, read_request
from streamproc.messages.response import Coverage, MemberReport, Usage
from streamproc.metrics import Metrics
from streamproc.request_pipeline import Pipeline
from streamproc.serving.answer_cache import AnswerCache, decoded, encoded
from streamproc.serving.disagreements import Choices
from streamproc.serving.engine import Engine
from streamproc.serving.inference.batch import Batch
from streamproc.serving.inference.executor import ModelExecutor
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.task import Answer, AnyJob
from streamproc.serving.tasks.text_classification import TextClassification
from streamproc.testing import (
    ManualClock,
    MemoryBroker,
    ScriptedSession,
    build_engine,
    build_pipeline,
    build_record,
    build_route,
    build_spec,
)
from streamproc.testing.generative import build_decoding_engine, build_decoding_spec
from tests.support.answer_caches import RowCounter, build_cache, outcomes
from tests.support.streamed import REPLIES, TO_REPLIES, streamed, text_of

FILM: dict[str, Any] = {"id": "1", "text": "the good film"}


def counted_engine(executor: ModelExecutor, counter: RowCounter, members: str = "a") -> Engine:
    sessions = [ScriptedSession(name, before=counter) for name in members]
    return build_engine(build_spec(list(members)), sessions, executor=executor)


def until(go: threading.Event) -> Callable[[Batch], None]:
    """Holds a model up until then."""

    def wait(_: Batch) -> None:
        assert go.wait(30)

    return wait


def without_own(value: Mapping[str, Any]) -> bytes:
    """A response less what is its request's own."""
    kept = {name: one for name, one in value.items() if name not in {"id", "timing", "metadata"}}
    return orjson.dumps(kept)


async def asked(pipeline: Pipeline, broker: MemoryBroker, *requests: Mapping[str, Any]) -> Any:
    """The responses to requests, one after the other."""
    broker.topics.clear()
    for request in requests:
        await pipeline(build_record(request))
    return broker.values("responses")


async def test_the_same_again_is_answered_to_the_byte_without_asking_a_model(
    executor: ModelExecutor,
) -> None:
    broker, counter, metrics = MemoryBroker(), RowCounter(), Metrics()
    engine = counted_engine(executor, counter)
    pipeline = build_pipeline(broker, engine, cache=build_cache(metrics=metrics))

    again = {**FILM, "id": "2", "metadata": {"n": 1.0}, "txet": "?"}
    first, second = await asked(pipeline, broker, FILM, again)

    assert counter.rows == 1
    assert (first["id"], second["id"], second["metadata"]) == ("1", "2", {"n": 1.0})
    assert without_own(first) == without_own(second)
    assert second["timing"]["queue_ms"] == second["timing"]["inference_ms"] == 0
    assert outcomes(metrics) == {"miss": 1, "memory": 1}


async def test_warnings_are_the_requests_own(executor: ModelExecutor) -> None:
    broker, counter = MemoryBroker(), RowCounter()
    pipeline = build_pipeline(broker, counted_engine(executor, counter), cache=build_cache())

    first, second, third = await asked(
        pipeline, broker, {**FILM, "top_k": 1}, FILM, {**FILM, "ensembl": "x"}
    )

    assert counter.rows == 1
    assert "'top_k' was ignored" in first["warnings"][0]
    assert "warnings" not in second
    assert "did you mean 'ensemble'" in third["warnings"][0]


async def test_a_request_is_begun_once_whether_or_not_its_answer_is_kept(
    executor: ModelExecutor,
) -> None:
    begun: list[str] = []

    class Counting(TextClassification):
        def begin(
            self, inputs: Mapping[str, object], params: Mapping[str, object], spec: EnsembleSpec
        ) -> AnyJob:
            begun.append(str(inputs["text"]))
            return super().begin(inputs, params, spec)

    broker = MemoryBroker()
    engine = replace(counted_engine(executor, RowCounter()), task=Counting())
    pipeline = build_pipeline(broker, engine, cache=build_cache())

    await asked(pipeline, broker, FILM, FILM, {"text": "the bad film"})

    assert begun == ["the good film", "the good film", "the bad film"]


async def test_an_attempt_after_a_fault_takes_nothing_of_the_one_before(
    executor: ModelExecutor,
) -> None:
    calls = count(1)

    def fails_midway(_: Batch) -> None:
        if 3 <= next(calls) <= 8:
            raise OutOfMemory("no memory")

    broker, plain = MemoryBroker(), MemoryBroker()
    session = ScriptedSession("a", before=fails_midway)
    engine = build_engine(build_spec(["a"]), [session], executor=executor)
    long = {"id": "1", "text": "the good bad film x " * 20}
    pipeline = build_pipeline(broker, engine, clock=ManualClock(), cache=build_cache())

    (found,) = await asked(pipeline, broker, long)
    (expected,) = await asked(
        build_pipeline(plain, counted_engine(executor, RowCounter())), plain, long
    )

    assert found["coverage"]["chunks"] > 4
    assert without_own(found) == without_own(expected)


async def test_requests_that_ask_the_same_at_one_time_are_asked_once(
    executor: ModelExecutor,
) -> None:
    go = threading.Event()
    counter, metrics = RowCounter(until(go)), Metrics()
    broker, engine = MemoryBroker(), counted_engine(executor, counter)
    pipeline = build_pipeline(broker, engine, cache=build_cache(metrics=metrics))
    records = [build_record({**FILM, "id": str(n)}, offset=n) for n in range(200)]

    answering = [asyncio.create_task(pipeline(record)) for record in records]
    await asyncio.sleep(0.05)
    go.set()
    await asyncio.gather(*answering)

    assert counter.rows == 1
    assert outcomes(metrics) == {"miss": 1, "joined": 199}
    answers = broker.values("responses")
    assert {answer["id"] for answer in answers} == {str(n) for n in range(200)}
    assert len({without_own(answer) for answer in answers}) == 1


@pytest.mark.parametrize("again", [
    {"text": "the good film "},
    {"params": {"top_k": 1}},
    {"params": {"return_members": True}},
    {"params": {"aggregation": "max"}},
    {"params": {"combine": "vote"}},
    {"params": {"truncate": True}},
])  # fmt: skip
async def test_what_is_asked_otherwise_is_asked(
    executor: ModelExecutor, again: dict[str, Any]
) -> None:
    broker, counter = MemoryBroker(), RowCounter()
    pipeline = build_pipeline(broker, counted_engine(executor, counter), cache=build_cache())
    broker_of_plain = MemoryBroker()
    plain = build_pipeline(broker_of_plain, counted_engine(executor, RowCounter()))

    answers = await asked(pipeline, broker, FILM, {**FILM, **again})

    assert counter.rows == 2
    expected = await asked(plain, broker_of_plain, FILM, {**FILM, **again})
    assert list(map(without_own, answers)) == list(map(without_own, expected))


async def test_an_invalid_request_is_refused_whatever_is_kept(executor: ModelExecutor) -> None:
    broker, counter = MemoryBroker(), RowCounter()
    pipeline = build_pipeline(broker, counted_engine(executor, counter), cache=build_cache())

    _, *refused = await asked(
        pipeline, broker, FILM, {**FILM, "params": {"top_k": "1"}}, {**FILM, "ensemble": "x"}
    )

    assert [answer["error"]["type"] for answer in refused] == ["invalid", "invalid"]


async def test_an_answer_that_lacks_a_member_is_not_kept(executor: ModelExecutor) -> None:
    broken = threading.Event()
    broken.set()

    def fails_at_first(_: Batch) -> None:
        if broken.is_set():
            raise OutOfMemory("no memory")

    metrics, broker = Metrics(), MemoryBroker()
    spec = build_spec(["a", "b"], quorum=1)
    sessions = [ScriptedSession("a"), ScriptedSession("b", before=fails_at_first)]
    engine = build_engine(spec, sessions, executor=executor)
    pipeline = build_pipeline(broker, engine, cache=build_cache(metrics=metrics))

    (first,) = await asked(pipeline, broker, FILM)
    broken.clear()
    later = await asked(pipeline, broker, FILM, FILM)

    assert first["status"] == "partial"
    assert [answer["status"] for answer in later] == ["ok", "ok"]
    assert outcomes(metrics) == {"miss": 2, "memory": 1}


async def test_a_failure_is_not_kept_and_nobody_elses(executor: ModelExecutor) -> None:
    broken = threading.Event()
    broken.set()

    def fails_at_first(_: Batch) -> None:
        if broken.is_set():
            raise RuntimeError("a bug")

    metrics, broker, clock = Metrics(), MemoryBroker(), ManualClock()
    session = ScriptedSession("a", before=fails_at_first)
    engine = build_engine(build_spec(["a"]), [session], executor=executor, clock=clock)
    pipeline = build_pipeline(broker, engine, cache=build_cache(metrics=metrics))

    failed = await asyncio.gather(
        *(pipeline(build_record(FILM, offset=n)) for n in range(3)), return_exceptions=True
    )
    broken.clear()
    clock.advance(60)
    (answer,) = await asked(pipeline, broker, FILM)

    assert len(failed) == 3
    assert answer["status"] == "ok"
    assert outcomes(metrics)["miss"] == 4


async def test_a_deadline_that_has_passed_is_told_though_an_answer_is_kept(
    executor: ModelExecutor,
) -> None:
    clock, broker = ManualClock(), MemoryBroker()
    engine = counted_engine(executor, RowCounter())
    pipeline = build_pipeline(broker, engine, clock=clock, cache=build_cache(clock=clock))
    await asked(pipeline, broker, FILM)
    clock.advance(1)

    late, soon = await asked(
        pipeline, broker, {**FILM, "deadline_ms": 1_000}, {**FILM, "deadline_ms": 60_000}
    )

    assert late["error"]["type"] == "deadline"
    assert soon["status"] == "ok"


async def test_the_first_ones_deadline_is_not_that_of_who_waits_for_it(
    executor: ModelExecutor,
) -> None:
    go = threading.Event()
    counter = RowCounter(until(go))
    broker, engine = MemoryBroker(), counted_engine(executor, counter)
    pipeline = build_pipeline(broker, engine, clock=ManualClock(), cache=build_cache())
    hasty = {**FILM, "id": "hasty", "deadline_ms": 50}
    records = [build_record(hasty), build_record({**FILM, "id": "patient"}, offset=1)]

    answering = [asyncio.create_task(pipeline(record)) for record in records]
    await answering[0]
    go.set()
    await answering[1]

    found = {answer["id"]: answer["status"] for answer in broker.values("responses")}
    assert found == {"hasty": "error", "patient": "ok"}


async def test_an_interactive_request_waits_for_no_bulk_one(executor: ModelExecutor) -> None:
    go = threading.Event()
    metrics = Metrics()
    cache = build_cache(metrics=metrics)
    asked_for: list[Lane] = []

    async def ask_in(lane: Lane) -> Any:
        async def ask() -> Any:
            asked_for.append(lane)
            while lane is Lane.BULK and not go.is_set():  # noqa: ASYNC110 - a thread's event
                await asyncio.sleep(0)
            raise OutOfMemory("no memory")

        with pytest.raises(OutOfMemory):
            await cache.answer(b"k" * 32, lane, ask)

    bulk = asyncio.create_task(ask_in(Lane.BULK))
    await asyncio.sleep(0)
    await ask_in(Lane.INTERACTIVE)
    go.set()
    await bulk

    assert asked_for == [Lane.BULK, Lane.INTERACTIVE]


@pytest.mark.parametrize(
    ("params", "is_kept"),
    [
        ({}, True),
        ({"do_sample": True}, False),
        ({"do_sample": True, "seed": 7}, True),
        ({"do_sample": True, "temperature": 0.5}, False),
    ],
)
async def test_what_is_drawn_by_lot_is_kept_only_with_a_seed(
    params: dict[str, Any], is_kept: bool
) -> None:
    broker, metrics = MemoryBroker(), Metrics()
    task = "text-generation"
    pipeline = build_pipeline(
        broker,
        build_decoding_engine(build_decoding_spec(["a"])),
        route=build_route(task=task),
        cache=build_cache(task, metrics=metrics),
    )
    request = {"id": "1", "text": "the", "params": params}

    first, second = await asked(pipeline, broker, request, request)

    assert without_own(first) == without_own(second)
    assert outcomes(metrics, task) == ({"miss": 1, "memory": 1} if is_kept else {"passed": 2})


async def test_a_text_that_is_kept_comes_as_one_part_and_one_that_is_not_as_it_is_written() -> None:
    broker, metrics = MemoryBroker(), Metrics()
    task = "text-generation"
    pipeline = build_pipeline(
        broker,
        build_decoding_engine(build_decoding_spec(["a"], max_tokens=128)),
        route=build_route(task=task, reply_topics=[REPLIES]),
        cache=build_cache(task, metrics=metrics),
    )
    long = {"max_new_tokens": 40, "min_new_tokens": 40}
    request = {"id": "1", "text": "the", "params": {**long, "stream": True}}
    whole = {"id": "2", "text": "the", "params": long}

    found = []
    for one in (request, request, whole):
        broker.topics.clear()
        await pipeline(build_record(one, headers=TO_REPLIES))
        found.append(streamed(broker))

    written, kept, silent = found
    assert len(written.parts) > 1
    assert len(kept.parts) == 1
    assert not silent.parts
    assert written.text == kept.text == text_of(written.response)
    assert len({without_own(one.response) for one in found}) == 1
    assert outcomes(metrics, task) == {"miss": 1, "memory": 2}


def request_of(**fields: Any) -> Request:
    request = read_request(build_record({**FILM, **fields}), 1_000_000)
    assert isinstance(request, Request)
    return request


def test_a_key_is_of_all_that_an_answer_depends_on_and_of_nothing_else(
    executor: ModelExecutor,
) -> None:
    cache = build_cache()
    engine = build_engine(executor=executor)
    key = cache.key(engine, request_of())

    same = (
        request_of(id="2"),
        request_of(metadata={"a": 1}),
        request_of(deadline_ms=5),
        request_of(ensemble="tiny"),
        request_of(whatever="else"),
        request_of(params={}),
        request_of(params={"stream": True}),
    )
    assert key is not None
    assert {cache.key(engine, one) for one in same} == {key}
    newer = replace(engine, spec=replace(engine.spec, digest="1" * 64))
    others = {
        cache.key(newer, request_of()),
        build_cache(numerics="another machine").key(engine, request_of()),
        cache.key(engine, request_of(text="the good film.")),
        cache.key(engine, request_of(params={"top_k": 1})),
        cache.key(engine, request_of(params={"top_k": 1.0})),
        cache.key(engine, request_of(params={"top_k": True})),
        cache.key(engine, request_of(), "cascade"),
    }
    assert len(others) == 7
    assert key not in others


def test_the_order_of_fields_and_parameters_makes_no_other_key(executor: ModelExecutor) -> None:
    cache, engine = build_cache(), build_engine(executor=executor)
    params = {"top_k": 1, "aggregation": "max", "combine": "vote"}
    names = list(params)
    random.Random(1).shuffle(names)

    shuffled = request_of(params={name: params[name] for name in reversed(names)})

    assert cache.key(engine, request_of(params=params)) == cache.key(engine, shuffled)


async def test_what_json_does_not_have_is_asked_by_itself(executor: ModelExecutor) -> None:
    cache, engine = build_cache(), build_engine(executor=executor)

    assert cache.key(engine, replace(request_of(), params={"top_k": {1}})) is None


def answer_of(result: dict[str, Any]) -> Answer:
    reports = (MemberReport("a", "1", "ok"), MemberReport("b", "2", "ok", {"label": "x"}))
    return Answer(result, reports, 0.1 + 0.2, None, Coverage(1, 2, 2, False))


def test_an_answer_comes_back_as_it_was() -> None:
    answer = answer_of({"label": "日本\u2028", "score": 1e-310, "scores": {"b": -0.0, "a": 1.0}})

    value = encoded(answer)

    assert value is not None
    found = decoded(value)
    assert found == answer
    assert orjson.dumps(found) == orjson.dumps(answer)


async def test_all_that_is_in_a_response_is_kept_and_what_is_not_does_no_harm() -> None:
    metrics = Metrics()
    cache = build_cache(metrics=metrics)
    answer = replace(
        answer_of({"label": "x"}), usage=Usage(3, 5), choices=Choices("x", {"a": "x", "b": "y"})
    )

    async def ask() -> Any:
        return Timed(answer, 1.0, 1.0)

    first, second = [await cache.answer(b"k" * 32, Lane.BULK, ask) for _ in range(2)]

    assert first.answered.result == answer
    assert second.answered.result == replace(answer, choices=None)
    assert outcomes(metrics) == {"miss": 1, "memory": 1}


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), (1, 2), {1: 2}, {1, 2}, b"x"])
async def test_an_answer_that_json_does_not_bring_back_is_not_kept(odd: Any) -> None:
    metrics = Metrics()
    cache = build_cache(metrics=metrics)
    answers = iter([answer_of({"odd": odd}), answer_of({"odd": 1})])

    async def ask() -> Any:

        return Timed(next(answers), 1.0, 1.0)

    for _ in range(2):
        await cache.answer(b"k" * 32, Lane.BULK, ask)

    assert outcomes(metrics) == {"miss": 2}


@pytest.mark.parametrize("value", [b"", b"null", b"{}", b"[1,2]", b"[{},[[1]],1,1,[1]]", b"\xff"])
def test_bytes_that_are_no_answer_are_none(value: bytes) -> None:
    assert decoded(value) is None


async def test_damage_in_what_is_shared_is_a_miss() -> None:
    class Damaged:
        async def get(self, key: bytes) -> Kept | None:
            return Kept(b"[1,2]", 1)

        def put(self, key: bytes, kept: Kept) -> None:
            pass

    metrics = Metrics()
    cache: AnswerCache = build_cache(shared=Damaged(), metrics=metrics)

    async def ask() -> Any:

        return Timed(answer_of({"label": "x"}), 1.0, 1.0)

    found = await cache.answer(b"k" * 32, Lane.BULK, ask)

    assert found.answered.result == answer_of({"label": "x"})
    assert outcomes(metrics) == {"miss": 1}


async def test_no_two_requests_are_given_the_same_objects() -> None:
    cache = build_cache()

    async def ask() -> Any:

        await asyncio.sleep(0)
        return Timed(answer_of({"scores": {"a": 1.0}}), 1.0, 1.0)

    asking = (cache.answer(b"k" * 32, Lane.BULK, ask) for _ in range(3))
    together = await asyncio.gather(*asking)
    later = await cache.answer(b"k" * 32, Lane.BULK, ask)

    results = [found.answered.result.result for found in (*together, later)]
    assert results == [{"scores": {"a": 1.0}}] * 4
    assert len({id(result["scores"]) for result in results}) == 4


async def test_the_age_of_what_is_given_again_is_told(executor: ModelExecutor) -> None:
    clock, broker, metrics = ManualClock(), MemoryBroker(), Metrics()
    engine = counted_engine(executor, RowCounter())
    cache = build_cache(clock=clock, metrics=metrics)
    pipeline = build_pipeline(broker, engine, clock=clock, cache=cache)
    await asked(pipeline, broker, FILM)
    clock.advance(25)

    await asked(pipeline, broker, FILM)

    of = {"task": "text-classification"}
    read = metrics.registry.get_sample_value
    assert read("streamproc_cache_age_seconds_count", of) == 1
    assert read("streamproc_cache_age_seconds_sum", of) == 25
