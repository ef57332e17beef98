"""Where a process keeps answers, and what becomes of them when the shared cache dies."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from streamproc import LocalClient
from streamproc.clock import SystemClock
from streamproc.enrichment.route import Route
from streamproc.errors import OperatorError, SettingsError
from streamproc.messages.lane import Lane
from streamproc.metrics import Metrics
from streamproc.serving.engine import Engines
from streamproc.serving.inference.executor import ModelExecutor
from streamproc.serving.inference.providers import CPU, Provider
from streamproc.settings import Settings
from streamproc.settings.sizes import MIB
from streamproc.testing import (
    MemoryBroker,
    ScriptedSession,
    build_engine,
    build_pipeline,
    build_record,
    build_route,
    build_spec,
)
from streamproc.worker.caching import AnswerCaches
from streamproc.worker.enrichment import build_enricher
from tests.support.answer_caches import RowCounter, outcomes
from tests.support.described_topics import build_topic
from tests.support.small_ensembles import write_small_ensembles
from tests.support.valkey_server import ValkeyServer

TASK = "text-classification"
WORDS = ("the", "good", "bad", "film", "x")


def caches_of(settings: Settings, metrics: Metrics | None = None) -> AnswerCaches:
    return AnswerCaches(settings, Provider(CPU), SystemClock(), metrics or Metrics())


def build_shop(**more: Any) -> Route:
    answer = {"name": "mood", "task": TASK, "ensemble": "tiny", "text": "/t", "to": "/mood"}
    return Route.model_validate(
        {
            "kind": "route", "name": "shop", "description": "what is tested here",
            "from": {"topics": ["in"]}, "to": {"topic": "out"},
            "meta": "/run", "dlq": "dead", "answers": [answer], **more,
        }
    )  # fmt: skip


@asynccontextmanager
async def started(settings: Settings, metrics: Metrics) -> AsyncIterator[AnswerCaches]:
    caches = caches_of(settings, metrics)
    await caches.start()
    try:
        yield caches
    finally:
        await caches.close()


def test_nothing_is_kept_unless_it_is_asked_for() -> None:
    assert caches_of(Settings()).of_task(TASK) is None


def test_only_the_tasks_that_are_named_are_kept_and_each_has_one_cache() -> None:
    caches = caches_of(Settings(cache_bytes=MIB, cache_tasks=(TASK,)))

    assert caches.of_task(TASK) is caches.of_task(TASK) is not None
    assert caches.of_task("translation") is None


def test_a_task_that_there_is_not_is_told_with_those_there_are() -> None:
    with pytest.raises(OperatorError, match="text-clasification"):
        caches_of(Settings(cache_bytes=MIB, cache_tasks=("text-clasification",)))


def test_tasks_without_a_place_to_keep_answers_are_a_mistake() -> None:
    with pytest.raises(SettingsError, match="STREAMPROC_CACHE_BYTES, STREAMPROC_CACHE_URL"):
        caches_of(Settings(cache_tasks=(TASK,)))


def test_a_topic_or_route_says_for_itself_whether_its_answers_are_kept() -> None:
    caches = caches_of(Settings(cache_bytes=MIB, cache_tasks=("translation",)))
    both = caches_of(Settings(cache_bytes=MIB))

    assert caches.of_topic(build_topic()) is caches.of_route(build_shop(), TASK) is None
    assert both.of_topic(build_topic(cache=False)) is None
    assert both.of_route(build_shop(cache=False), TASK) is None
    kept = caches.of_topic(build_topic(cache=True))
    assert kept is caches.of_route(build_shop(cache=True), TASK) is not None
    assert both.of_topic(build_topic()) is both.of_topic(build_topic(cache=True)) is not None


def test_a_topic_or_route_that_wants_answers_kept_needs_a_place_for_them() -> None:
    caches = caches_of(Settings())

    with pytest.raises(SettingsError, match=r"topic asked says `cache: true`.*CACHE_BYTES"):
        caches.of_topic(build_topic(cache=True))
    with pytest.raises(SettingsError, match=r"route shop says `cache: true`.*CACHE_BYTES"):
        caches.of_route(build_shop(cache=True), TASK)
    assert caches.of_topic(build_topic(cache=False)) is None


@pytest.mark.parametrize(
    ("library", "settings"),
    [
        ("cachetools", Settings(cache_bytes=MIB)),
        ("valkey.asyncio", Settings(cache_url="valkey://127.0.0.1")),
    ],
)
def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, library: str, settings: Settings
) -> None:
    for name in ("memory_store", "valkey_store"):
        monkeypatch.delitem(sys.modules, f"streamproc.caching.{name}", raising=False)
    monkeypatch.setitem(sys.modules, library, None)

    with pytest.raises(SettingsError, match=r'pip install "streamproc\[cache\]"'):
        caches_of(settings)


async def test_both_lanes_and_another_worker_take_what_one_has_worked_out(
    executor: ModelExecutor, tmp_path: Path
) -> None:
    counter, found = RowCounter(), []
    with ValkeyServer(tmp_path) as valkey:
        settings = valkey.settings(cache_bytes=MIB)
        for number in range(2):
            metrics = Metrics()
            async with started(settings, metrics) as caches:
                for lane in Lane:
                    broker = MemoryBroker()
                    session = ScriptedSession("a", before=counter)
                    engine = build_engine(build_spec(["a"]), [session], executor=executor)
                    pipeline = build_pipeline(
                        broker, engine, route=build_route(lane), cache=caches.of_task(TASK)
                    )
                    await pipeline(build_record({"text": "good"}, offset=number))
                    found += broker.values("responses")
            expected = {"miss": 1, "memory": 1} if number == 0 else {"shared": 1, "memory": 1}
            assert outcomes(metrics) == expected

    assert counter.rows == 1
    assert len({orjson.dumps(one["result"]) for one in found}) == 1
    assert [one["status"] for one in found] == ["ok"] * 4


async def test_a_shared_cache_killed_in_the_middle_of_a_stream_costs_only_hits(
    executor: ModelExecutor, tmp_path: Path
) -> None:
    draw = random.Random(7)
    texts = [" ".join(draw.choices(WORDS, k=draw.randrange(1, 4))) for _ in range(600)]
    records = [build_record({"id": str(n), "text": text}, offset=n) for n, text in enumerate(texts)]
    engine = build_engine(executor=executor)
    plain = MemoryBroker()
    await asyncio.gather(*map(build_pipeline(plain, engine), records))
    metrics = Metrics()
    with ValkeyServer(tmp_path) as valkey:
        async with started(valkey.settings(), metrics) as caches:
            broker = MemoryBroker()
            pipeline = build_pipeline(broker, engine, cache=caches.of_task(TASK))
            going = asyncio.Semaphore(16)

            async def answer(number: int) -> None:
                async with going:
                    if number == 300:
                        valkey.kill()
                    await pipeline(records[number])

            await asyncio.gather(*map(answer, range(len(records))))
            troubles = caches.troubles()

    def results(broker: MemoryBroker) -> dict[str, Any]:
        return {
            answer["id"]: orjson.dumps({**answer, "timing": None})
            for answer in broker.values("responses")
        }

    assert len(broker.topics["responses"]) == len(texts)
    assert results(broker) == results(plain)
    assert set(broker.topics) == {"responses"}
    assert len(troubles) == 1
    counted = outcomes(metrics)
    assert counted["shared"] > 0
    assert sum(counted.values()) == len(texts)


async def test_asking_in_this_process_keeps_answers_where_the_settings_say_so(
    tmp_path: Path,
) -> None:
    write_small_ensembles(tmp_path, [TASK])
    settings = Settings(models_dir=tmp_path, device="cpu", cache_bytes=MIB)

    async with LocalClient.of_task(settings) as client:
        first = await client.ask({"text": "good film"})
        tokens = client.tokens_run()
        second = await client.ask({"text": "good film"})

        assert client.tokens_run() == tokens > 0
    assert first["result"] == second["result"]


async def test_an_event_of_a_route_takes_what_a_request_has_worked_out(
    executor: ModelExecutor,
) -> None:
    counter, metrics, broker = RowCounter(), Metrics(), MemoryBroker()
    session = ScriptedSession("a", before=counter)
    engine = build_engine(build_spec(["a"]), [session], executor=executor)
    caches = caches_of(Settings(cache_bytes=MIB), metrics)
    enricher = build_enricher(
        build_shop(),
        {TASK: Engines({"tiny": engine})},
        broker.publish,
        SystemClock(),
        metrics,
        cache_of=caches.of_route,
    )
    pipeline = build_pipeline(broker, engine, cache=caches.of_task(TASK))

    await pipeline(build_record({"text": "the good film"}))
    await enricher(build_record({"t": "the good film"}))

    (response,), (event,) = broker.values("responses"), broker.values("out")
    assert event["mood"] == response["result"]
    assert counter.rows == 1
    assert outcomes(metrics) == {"miss": 1, "memory": 1}
