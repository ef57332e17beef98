from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from streamproc.clock import Timed
from streamproc.errors import Invalid, OutOfMemory
from streamproc.messages.lane import Lane
from streamproc.serving.engine import Engine, Engines
from streamproc.serving.inference.executor import ModelExecutor
from streamproc.testing import ScriptedSession, build_engine, build_spec

THREADS = 1

LONG = "the good film " * 200


async def indices(engine: Engine, text: str) -> list[int]:
    job = engine.task.begin({"text": text}, {}, engine.spec)
    return [chunk.index async for chunk, _ in engine.scored_chunks(job, Lane.INTERACTIVE)]


@pytest.mark.parametrize("text", ["", "good", LONG, LONG * 5])
async def test_every_chunk_comes_back_in_the_order_of_the_text(
    executor: ModelExecutor, text: str
) -> None:
    engine = build_engine(executor=executor)
    job = engine.task.begin({"text": text}, {}, engine.spec)

    assert await indices(engine, text) == [chunk.index for chunk in job.chunks()]


async def test_no_more_chunks_of_a_document_are_in_the_works_than_it_may_have(
    executor: ModelExecutor,
) -> None:
    sizes: list[int] = []
    session = ScriptedSession("a", before=lambda batch: sizes.append(len(batch.ids)))
    engine = build_engine(
        build_spec(["a"]), [session], executor=executor, budget_tokens=100_000,
        max_document_chunks=3,
    )  # fmt: skip

    await indices(engine, LONG)

    assert max(sizes) <= 3
    assert sum(sizes) > 10


async def test_a_short_document_is_answered_while_a_long_one_is_under_way(
    executor: ModelExecutor,
) -> None:
    engine = build_engine(executor=executor, max_document_chunks=2, budget_tokens=16)
    done: list[str] = []

    async def answer(name: str, text: str) -> None:
        await indices(engine, text)
        done.append(name)

    long = asyncio.create_task(answer("long", LONG))
    await asyncio.sleep(0)
    await asyncio.gather(*(answer("short", "good") for _ in range(5)), long)

    assert done == ["short"] * 5 + ["long"]


async def test_leaving_takes_what_waits_of_the_document_back(executor: ModelExecutor) -> None:
    engine = build_engine(executor=executor, max_document_chunks=8, budget_tokens=16)
    job = engine.task.begin({"text": LONG}, {}, engine.spec)

    async with aclosing(engine.scored_chunks(job, Lane.INTERACTIVE)) as scored:
        async for _ in scored:
            break

    assert engine.scorer.queued_tokens == 0
    assert await indices(engine, "good") == [0]


async def test_an_error_in_one_chunk_takes_the_others_of_the_document_back(
    executor: ModelExecutor,
) -> None:
    engine = build_engine(executor=executor, max_document_chunks=8, budget_tokens=16)

    class Refusing:
        queued_tokens = 0

        async def submit(self, item: Any, tokens: int, lane: Lane, /) -> Timed[Any]:
            if item.index == 2:
                raise OutOfMemory("no memory")
            return await engine.scorer.submit(item, tokens, lane)

        async def close(self) -> None:
            await engine.scorer.close()

    with pytest.raises(OutOfMemory):
        await indices(replace(engine, scorer=Refusing()), LONG)

    assert engine.scorer.queued_tokens == 0


@pytest.mark.parametrize("lane", Lane)
async def test_a_job_that_is_to_be_alone_shares_no_batch(
    executor: ModelExecutor, lane: Lane
) -> None:
    batches: list[list[list[int]]] = []
    session = ScriptedSession("a", before=lambda batch: batches.append(batch.ids.tolist()))
    engine = build_engine(build_spec(["a"]), [session], executor=executor, budget_tokens=256)

    async def ask(text: str, *, alone: bool) -> None:
        job = engine.task.begin({"text": text}, {}, engine.spec)
        async for _ in engine.scored_chunks(job, lane, alone=alone):
            pass

    others = (ask("good", alone=False) for _ in range(8))
    await asyncio.gather(*others, ask("bad", alone=True), ask("good", alone=False))

    (bad,) = next(engine.spec.tokenizer.stream("bad")).ids
    assert [len(rows) for rows in batches if any(bad in row for row in rows)] == [1]
    assert max(map(len, batches)) > 1


async def test_an_ensemble_that_is_not_there_is_refused_with_those_that_are(
    executor: ModelExecutor,
) -> None:
    engine = build_engine(executor=executor)
    engines = Engines({"b": engine, "a": engine})

    assert engines.named("a") is engine
    with pytest.raises(Invalid, match="no ensemble 'c' for this task; there are: a, b"):
        engines.named("c")
