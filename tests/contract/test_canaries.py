"""`ready` is said only while a canary through every ensemble answers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from streamproc.errors import MemberFailed
from streamproc.metrics import Metrics
from streamproc.serving.engine import Engine
from streamproc.serving.inference.batch import Batch
from streamproc.serving.inference.executor import ModelExecutor
from streamproc.serving.member_health import BURST
from streamproc.testing import (
    ManualClock,
    MemoryBroker,
    ScriptedSession,
    build_context,
    build_engine,
    build_pipeline,
    build_record,
    build_spec,
    build_tokenizer,
)
from streamproc.testing.generative import (
    ScriptedStepModel,
    build_decoding_engine,
    build_decoding_spec,
)
from streamproc.worker.canaries import Canaries
from tests.support.buggy_task import Buggy

THREADS = 3
FILM = int(next(build_tokenizer().stream("film")).ids[0])


def canaries(*engines: Engine, timeout_s: float = 20) -> Canaries:
    return Canaries(lambda: engines, 10, timeout_s, ManualClock(), Metrics())


def engine_of(
    executor: ModelExecutor,
    before: Callable[[Batch], None],
    quorum: int | None = None,
    call_timeout_s: float = 30,
) -> Engine:
    """Members "a", which `before` is of, and "b"."""
    sessions = [ScriptedSession("a", before=before), ScriptedSession("b")]
    spec = build_spec(["a", "b"], quorum=quorum)
    return build_engine(spec, sessions, executor=executor, call_timeout_s=call_timeout_s)


def fail(_: Batch) -> None:
    raise MemberFailed("a", "broken")


async def test_a_worker_is_ready_once_every_ensemble_has_answered(executor: ModelExecutor) -> None:
    engine = build_engine(executor=executor)
    asked = canaries(engine, replace(engine, spec=replace(engine.spec, name="other")))
    assert asked.not_ready() == [
        "ensemble tiny has not answered its first canary yet",
        "ensemble other has not answered its first canary yet",
    ]

    await asked.ask()

    assert asked.not_ready() == []


async def test_an_ensemble_that_stops_answering_is_named_until_it_answers_again(
    executor: ModelExecutor,
) -> None:
    broken = False

    def fail_when_broken(batch: Batch) -> None:
        if broken:
            fail(batch)

    asked = canaries(engine_of(executor, fail_when_broken))
    await asked.ask()
    broken = True
    await asked.ask()
    (reason,) = asked.not_ready()
    assert reason.startswith("ensemble tiny has not answered its canary for 0 s (member a ")
    assert "broken" in reason

    broken = False
    async with asyncio.timeout(20):
        while asked.not_ready():
            # The member is left out at first, and tried again after a while.
            await asyncio.sleep(0.1)
            await asked.ask()


@pytest.fixture
def release() -> Iterator[threading.Event]:
    released = threading.Event()
    yield released
    released.set()


async def test_a_model_that_hangs_while_nobody_asks_is_found_and_the_process_may_be_ended(
    executor: ModelExecutor, release: threading.Event
) -> None:
    engine = engine_of(executor, lambda _: assert_released(release), call_timeout_s=0.05)
    asked = canaries(engine)

    await asked.ask()

    (reason,) = asked.not_ready()
    assert "member a" in reason
    member, _ = engine.health.hung() or ("", 0.0)
    assert member == "a"


async def test_an_answer_that_takes_longer_than_the_bound_is_none(
    executor: ModelExecutor, release: threading.Event
) -> None:
    asked = canaries(engine_of(executor, lambda _: assert_released(release)), timeout_s=0.05)

    await asked.ask()

    assert asked.not_ready() == [
        "ensemble tiny has not answered its canary for 0 s (no answer within 0.05 s)"
    ]
    release.set()
    await asked.ask()
    assert asked.not_ready() == []


def assert_released(release: threading.Event) -> None:
    assert release.wait(20)


async def test_where_the_others_suffice_the_worker_is_ready_and_the_member_is_told(
    executor: ModelExecutor,
) -> None:
    engine = engine_of(executor, fail, quorum=1)
    asked = canaries(engine)

    await asked.ask()

    assert asked.not_ready() == []
    assert engine.health.troubles() == []
    (told,) = engine.health.spared()
    assert told.startswith("member a of ensemble tiny has given no result for ")


async def test_an_error_of_our_own_code_keeps_it_from_being_ready(
    executor: ModelExecutor,
) -> None:
    engine = build_engine(executor=executor)
    asked = canaries(replace(engine, task=Buggy(engine.task, "ok ")))

    await asked.ask()

    assert asked.not_ready() == [
        "ensemble tiny has not answered its canary for 0 s (KeyError in our own code)"
    ]


async def test_an_ensemble_that_writes_answers_too_and_writes_one_token() -> None:
    spec = build_decoding_spec(["a"])
    calls: list[int] = []
    model = ScriptedStepModel("a", spec.tokenizer.vocabulary_size, before=lambda _: calls.append(1))
    context = build_context()
    asked = canaries(build_decoding_engine(spec, [model], context=context))

    await asked.ask()

    assert asked.not_ready() == []
    assert len(calls) == 1
    context.executor.close()


async def test_a_canary_shows_nothing_for_a_member_that_fails_on_every_request(
    executor: ModelExecutor,
) -> None:
    def fail_on_films(batch: Batch) -> None:
        if np.any(batch.ids == FILM):
            fail(batch)

    engine = engine_of(executor, fail_on_films)
    asked, broker = canaries(engine), MemoryBroker()
    pipeline = build_pipeline(broker, engine, attempts=0)
    running = []
    for number in range(4 * BURST):
        await asked.ask()
        record = build_record({"id": f"r{number}", "text": "good film"}, offset=number)
        running.append(asyncio.create_task(pipeline(record)))
        await asyncio.sleep(0.01)

    assert len(broker.topics["dlq"]) == BURST
    (trouble,) = engine.health.troubles()
    assert trouble.startswith("member a of ensemble tiny has ")
    for task in running:
        task.cancel()
