"""Whose fault it is: a member that hangs or fails on everything costs no request its answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from streamproc.errors import MemberFailed
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
    Histories,
    ScriptedStepModel,
    build_decoding_engine,
    build_decoding_spec,
)

THREADS = 3

BAD, FILM = (int(next(build_tokenizer().stream(word)).ids[0]) for word in ("bad", "film"))
REQUESTS = 60


def engine_of(
    executor: ModelExecutor,
    before: Callable[[Batch], None],
    *,
    quorum: int | None = None,
    call_timeout_s: float = 30.0,
) -> Engine:
    """Members "a", which `before` is of, and "b"."""
    spec = build_spec(["a", "b"], quorum=quorum)
    sessions = [ScriptedSession("a", before=before), ScriptedSession("b")]
    return build_engine(spec, sessions, executor=executor, call_timeout_s=call_timeout_s)


class Worker:
    """A pipeline that tries without end, and the requests under way."""

    def __init__(self, engine: Engine) -> None:
        self.broker = MemoryBroker()
        self.engine = engine
        self._pipeline = build_pipeline(self.broker, engine, clock=Hurried(), attempts=0)
        self._under_way: list[asyncio.Task[None]] = []

    def ask(self, *texts: str, more: dict[str, Any] | None = None) -> None:
        for text in texts:
            number = len(self._under_way)
            record = build_record({"id": f"r{number}", "text": text, **(more or {})}, offset=number)
            self._under_way.append(asyncio.create_task(self._pipeline(record)))

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not true():  # noqa: ASYNC110 - what is waited for is many things
                await asyncio.sleep(0.005)

    async def finish(self) -> list[str]:
        """The status of each request, once all are answered."""
        await asyncio.wait_for(asyncio.gather(*self._under_way), 60)
        status = {answer["id"]: answer["status"] for answer in self.broker.values("responses")}
        return [status[f"r{number}"] for number in range(len(self._under_way))]

    @property
    def letters(self) -> int:
        return len(self.broker.topics.get("dlq", ()))


class Hurried(ManualClock):
    """Waits a hundredth of what it is told to, so that back-off takes no time."""

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        await asyncio.sleep(seconds / 100)


async def test_while_a_member_hangs_nobodys_request_fails_and_all_are_answered_once_it_is_back(
    executor: ModelExecutor,
) -> None:
    release, hangs = threading.Event(), threading.Event()

    def hang(_: Batch) -> None:
        hangs.set()
        assert release.wait(20)

    worker = Worker(engine_of(executor, hang, call_timeout_s=0.05))
    worker.ask(*["good film"] * REQUESTS)
    await worker.until(lambda: bool(worker.engine.health.troubles()))
    assert hangs.is_set()
    (trouble,) = worker.engine.health.troubles()
    assert trouble.startswith("member a of ensemble tiny has not returned from a call for ")
    worker.ask(*["the film"] * REQUESTS)
    await asyncio.sleep(0.2)
    assert worker.broker.topics == {}

    release.set()

    assert await worker.finish() == ["ok"] * 2 * REQUESTS
    assert worker.letters == 0
    assert worker.engine.health.troubles() == []


async def test_a_member_that_hangs_is_only_missing_where_the_others_suffice(
    executor: ModelExecutor,
) -> None:
    release = threading.Event()
    worker = Worker(
        engine_of(executor, lambda _: assert_released(release), quorum=1, call_timeout_s=0.05)
    )
    worker.ask("good")
    assert await worker.finish() == ["partial"]
    worker.ask("film")

    assert await worker.finish() == ["partial", "partial"]
    assert [m["status"] for m in worker.broker.values("responses")[1]["members"]] == ["late", "ok"]
    assert worker.engine.health.troubles() == []
    assert worker.engine.health.hung() is not None
    release.set()


async def test_where_the_others_suffice_nobody_waits_long_for_a_member_that_is_ever_late(
    executor: ModelExecutor,
) -> None:
    calls: list[int] = []

    def slow(batch: Batch) -> None:
        calls.append(len(batch.ids))
        threading.Event().wait(0.1)

    worker = Worker(engine_of(executor, slow, quorum=1, call_timeout_s=0.05))
    for _ in range(REQUESTS):
        worker.ask("good film")
        assert (await worker.finish())[-1] == "partial"

    # Three batches that waited, and the trials on the canary, which nobody waits for.
    assert len(calls) < REQUESTS // 2
    assert worker.letters == 0
    last = worker.broker.values("responses")[-1]
    assert [member["status"] for member in last["members"]] == ["late", "ok"]
    assert worker.engine.health.troubles() == []


def assert_released(release: threading.Event) -> None:
    assert release.wait(20)


async def test_a_request_that_is_late_once_is_tried_again_and_answered(
    executor: ModelExecutor,
) -> None:
    slow = [0.2]

    def slow_once(_: Batch) -> None:
        if slow:
            threading.Event().wait(slow.pop())

    worker = Worker(engine_of(executor, slow_once, call_timeout_s=0.05))
    worker.ask("good", "bad", "film")

    assert await worker.finish() == ["ok"] * 3
    assert worker.letters == 0


async def test_a_request_that_is_late_every_time_fails_and_those_beside_it_are_answered(
    executor: ModelExecutor,
) -> None:
    def slow_on_bad(batch: Batch) -> None:
        if (batch.ids == BAD).any():
            threading.Event().wait(0.3)

    worker = Worker(engine_of(executor, slow_on_bad, call_timeout_s=0.1))
    worker.ask("good", "bad", "film", "the film")

    assert await worker.finish() == ["ok", "error", "ok", "ok"]
    (letter,) = worker.broker.topics["dlq"]
    assert dict(letter.headers)["streamproc-error-type"] == b"failed"


async def test_a_member_that_fails_on_every_request_costs_a_burst_of_them_at_most(
    executor: ModelExecutor,
) -> None:
    broken = True

    def fail(batch: Batch) -> None:
        if broken and (batch.ids == FILM).any():
            raise MemberFailed("a", "broken")

    worker = Worker(engine_of(executor, fail))
    worker.ask(*["good film"] * REQUESTS)
    await worker.until(lambda: bool(worker.engine.health.troubles()))
    await worker.until(lambda: worker.letters == BURST)
    worker.ask(*["good good film"] * REQUESTS)
    await asyncio.sleep(0.2)
    (trouble,) = worker.engine.health.troubles()
    assert trouble.startswith("member a of ensemble tiny has failed on every request for ")

    broken = False
    status = await worker.finish()

    assert worker.letters == BURST
    assert status.count("error") == BURST
    assert status.count("ok") == 2 * REQUESTS - BURST
    assert worker.engine.health.troubles() == []


async def test_a_member_that_breaks_after_it_has_answered_costs_no_request_its_answer(
    executor: ModelExecutor,
) -> None:
    broken = False

    def fail(batch: Batch) -> None:
        if broken and (batch.ids == FILM).any():
            raise MemberFailed("a", "broken")

    worker = Worker(engine_of(executor, fail))
    worker.ask("the film")
    await worker.finish()
    broken = True
    worker.ask(*["good film"] * REQUESTS)
    await worker.until(lambda: bool(worker.engine.health.troubles()))
    await asyncio.sleep(0.1)
    broken = False

    assert await worker.finish() == ["ok"] * (REQUESTS + 1)
    assert worker.letters == 0


async def test_a_poisonous_request_among_good_ones_fails_at_once_however_many_there_are(
    executor: ModelExecutor,
) -> None:
    def refuse_bad(batch: Batch) -> None:
        if (batch.ids == BAD).any():
            raise MemberFailed("a", "a bad word")

    worker = Worker(engine_of(executor, refuse_bad))
    texts = ["good film" if number % 4 else "bad film" for number in range(4 * REQUESTS)]
    worker.ask(*texts)

    status = await worker.finish()

    assert status == ["error" if "bad" in text else "ok" for text in texts]
    assert worker.letters == REQUESTS


async def test_while_a_member_that_writes_hangs_nobodys_request_fails() -> None:
    release = threading.Event()

    def hang(_: Histories) -> None:
        assert release.wait(20)

    spec = build_decoding_spec(["a", "b"])
    models = [
        ScriptedStepModel("a", spec.tokenizer.vocabulary_size, before=hang),
        ScriptedStepModel("b", spec.tokenizer.vocabulary_size),
    ]
    context = build_context(call_timeout_s=0.05)
    worker = Worker(build_decoding_engine(spec, models, context=context))
    worker.ask(*["good"] * 10)
    await worker.until(lambda: bool(worker.engine.health.troubles()))
    await asyncio.sleep(0.1)
    assert worker.broker.topics == {}

    release.set()

    assert await worker.finish() == ["ok"] * 10
    context.executor.close()
