"""Another engine takes the place of one: new requests are its own, old ones end where they began,
and those that the old one is not able to answer are tried on the new one."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from tenacity import stop_never

from streamproc.caching.kept import Kept
from streamproc.clock import Timed
from streamproc.errors import OutOfMemory
from streamproc.messages.cloudevents import Envelope, Form
from streamproc.messages.lane import Lane
from streamproc.messages.request import Request
from streamproc.metrics import Metrics
from streamproc.serving.answer_cache import AnswerCache
from streamproc.serving.answerer import Answerer
from streamproc.serving.engine import Engine, Engines
from streamproc.serving.inference.executor import ModelExecutor
from streamproc.testing import ManualClock, build_engine

THREADS = 1
LONG = "the good film " * 200


class NeverAble:
    """A scorer of a worker that can't."""

    queued_tokens = 0

    def __init__(self) -> None:
        self.asked = 0

    async def submit(self, item: Any, tokens: int, lane: Lane, /) -> Timed[Any]:
        self.asked += 1
        raise OutOfMemory("no memory")

    async def close(self) -> None:
        return


def version_2(executor: ModelExecutor) -> Engine:
    engine = build_engine(executor=executor)
    return replace(engine, spec=replace(engine.spec, version="2", digest="2" * 64))


async def test_the_engine_before_is_handed_back_and_named_is_the_new_one(
    executor: ModelExecutor,
) -> None:
    old, new = build_engine(executor=executor), version_2(executor)
    engines = Engines({"tiny": old})

    assert engines.replace(new) is old
    assert engines.named("tiny") is engines["tiny"] is new
    assert (list(engines), len(engines)) == (["tiny"], 1)


async def test_an_engine_is_drained_once_its_last_job_has_ended(executor: ModelExecutor) -> None:
    engine = build_engine(executor=executor)
    job = engine.task.begin({"text": LONG}, {}, engine.spec)
    async with aclosing(engine.scored_chunks(job, Lane.BULK)) as scored:
        await anext(scored)
        draining = asyncio.create_task(engine.drain())
        for _ in range(20):
            await asyncio.sleep(0)
        assert (len(engine.jobs), draining.done()) == (1, False)
    # Its asker went away, which ends the job too.
    async with asyncio.timeout(30):
        await draining
    assert len(engine.jobs) == 0


async def test_a_request_that_is_tried_again_goes_to_the_version_that_took_over(
    executor: ModelExecutor,
) -> None:
    unable = NeverAble()
    engines = Engines({"tiny": replace(build_engine(executor=executor), scorer=unable)})

    class Exchanging(ManualClock):
        sleeps = 0

        async def sleep(self, seconds: float) -> None:
            self.sleeps += 1
            if self.sleeps == 2:
                engines.replace(version_2(executor))
            await super().sleep(seconds)

    answerer = Answerer(
        "text-classification",
        engines,
        default_ensemble="tiny",
        lane=Lane.INTERACTIVE,
        clock=Exchanging(),
        metrics=Metrics(),
        stop_after=stop_never,
    )
    inputs = {"text": "good"}
    request = Request(
        "1", None, inputs, inputs.keys(), {}, None, None, Envelope(Form.PLAIN), "t:0:0"
    )
    response = await answerer.answer(request)

    assert unable.asked == 2
    assert (response.status, response.manifest) == ("ok", "2" * 64)


async def test_what_another_version_came_to_is_kept_for_that_one_alone(
    executor: ModelExecutor,
) -> None:
    unable = NeverAble()
    old = replace(build_engine(executor=executor), scorer=unable)
    engines = Engines({"tiny": old})
    metrics = Metrics()

    class Exchanging(ManualClock):
        async def sleep(self, seconds: float) -> None:
            if engines.named("tiny") is old:
                engines.replace(version_2(executor))
            await super().sleep(seconds)

    clock = Exchanging()
    memory: dict[bytes, Kept] = {}
    cache = AnswerCache(
        "text-classification",
        numerics="",
        memory=Remembering(memory),
        shared=None,
        clock=clock,
        metrics=metrics,
    )
    answerer = Answerer(
        "text-classification",
        engines,
        default_ensemble="tiny",
        lane=Lane.INTERACTIVE,
        clock=clock,
        metrics=metrics,
        stop_after=stop_never,
        cache=cache,
    )
    inputs = {"text": "good"}
    request = Request(
        "1", None, inputs, inputs.keys(), {}, None, None, Envelope(Form.PLAIN), "t:0:0"
    )
    response = await answerer.answer(request)

    assert (response.status, response.manifest) == ("ok", "2" * 64)
    assert list(memory) == [cache.key(engines.named("tiny"), request)]


class Remembering:
    """What keeps values in a dict that a test can look into."""

    def __init__(self, kept: dict[bytes, Kept]) -> None:
        self._kept = kept

    def get(self, key: bytes) -> Kept | None:
        return self._kept.get(key)

    def put(self, key: bytes, kept: Kept) -> None:
        self._kept[key] = kept
