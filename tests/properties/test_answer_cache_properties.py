"""With a cache every response is as without, to the byte, but for its timing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tenacity import stop_after_attempt

from streamproc.clock import SystemClock
from streamproc.messages.record import ProducerRecord
from streamproc.metrics import Metrics
from streamproc.request_pipeline import Pipeline
from streamproc.serving.answer_cache import AnswerCache
from streamproc.serving.engine import Engine, Engines
from streamproc.settings import Settings
from streamproc.testing import MemoryBroker, build_record, build_route
from streamproc.worker.models import Models
from tests.support.answer_caches import SharedStore, build_cache, outcomes
from tests.support.small_ensembles import SMALL, write_small_ensembles

TEXTS: Final = (
    "the good film",
    "bad",
    "",
    " ",
    "The film was good. The end.\n\nYes!",
    "日本 👍🏽",
    7,
    None,
)
QUESTIONS: Final = ("the film?", "good?", "")
OF_ANY_TASK: Final = st.sampled_from([{}, {"return_members": True}, {"unknown": 1}])
LOTS: Final = {"do_sample": True, "temperature": 2.0, "max_new_tokens": 6}
PARAMS: Final[dict[str, Sequence[Mapping[str, Any]]]] = {
    "text-classification": ({"top_k": 1}, {"aggregation": "max"}, {"combine": "vote"}),
    "token-classification": ({"aggregation": "simple"}, {"aggregation": "max"}, {"stitch": 1}),
    "question-answering": ({"top_k": 3}, {"handle_impossible_answer": True}),
    "translation": ({"num_beams": 1, "max_new_tokens": 4}, {"max_new_tokens": 3}),
    "summarization": ({"num_beams": 1, "max_new_tokens": 4}, {"max_new_tokens": 3}),
    "text-generation": (
        {"max_new_tokens": 4},
        {"max_new_tokens": 3, "next_tokens": 2},
        LOTS,
        {**LOTS, "seed": 1},
        {**LOTS, "seed": 2},
    ),
}
"""A few of each task, so that some are asked twice; the last ones of some are invalid."""


@dataclass(frozen=True)
class Served:
    """Ensembles of all tasks, and the loop that they run in."""

    engines: Mapping[str, Engine]
    loop: asyncio.Runner


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("models")
    write_small_ensembles(folder, tuple(SMALL))
    models = Models(Settings(models_dir=folder, device="cpu", threads=2), SystemClock(), Metrics())
    with asyncio.Runner() as loop:
        yield Served({task: models.load_task(task)[name] for task, name in SMALL.items()}, loop)
        loop.run(models.close())


def requests(task: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Requests of a task, many of which ask the same; some are invalid."""
    texts = st.sampled_from(TEXTS)
    fields: dict[str, st.SearchStrategy[Any]] = {"text": texts}
    if task == "question-answering":
        fields = {"question": st.sampled_from(QUESTIONS), "context": texts}
    params = st.builds(
        lambda own, general: {**own, **general}, st.sampled_from(({}, *PARAMS[task])), OF_ANY_TASK
    )
    optional = {
        "params": params,
        "metadata": st.sampled_from([None, 1.0, {"a": [1]}]),
        "txt": st.just("a mistake"),
        "ensemble": st.sampled_from([SMALL[task], "nobody"]),
    }
    return st.lists(st.fixed_dictionaries(fields, optional=optional), min_size=1, max_size=8)


async def answers(
    engine: Engine, asked: Sequence[Mapping[str, Any]], cache: AnswerCache | None, *, at_once: bool
) -> dict[str, ProducerRecord]:
    """What was published for each request, by its id, without what it took."""
    broker, task = MemoryBroker(), engine.task.name
    pipeline = Pipeline(
        build_route(task=task),
        Engines({"tiny": engine, SMALL[task]: engine}),
        broker.publish,
        clock=SystemClock(),
        metrics=Metrics(),
        stop_after=stop_after_attempt(3),
        cache=cache,
    )
    records = [
        build_record({"id": str(number), **fields}, offset=number)
        for number, fields in enumerate(asked)
    ]
    if at_once:
        await asyncio.gather(*map(pipeline, records))
    else:
        for record in records:
            await pipeline(record)
    return {
        orjson.loads(record.value or b"")["id"]: untimed(record)
        for record in broker.topics["responses"]
    }


def untimed(record: ProducerRecord) -> ProducerRecord:
    body = orjson.loads(record.value or b"")
    body.pop("timing", None)
    return ProducerRecord(record.topic, record.key, orjson.dumps(body), record.headers)


@pytest.mark.parametrize("task", SMALL)
@given(data=st.data())
@settings(max_examples=8)
def test_with_a_cache_every_response_is_as_without(
    served: Served, task: str, data: st.DataObject
) -> None:
    engine = served.engines[task]
    asked = data.draw(requests(task))
    # The least has space for an answer or two.
    max_bytes = data.draw(st.sampled_from([0, 1_500, 1_000_000]))
    cache = build_cache(task, max_bytes=max_bytes, shared=None if max_bytes else SharedStore())
    at_once = data.draw(st.booleans())

    async def ask() -> None:
        expected = await answers(engine, asked, None, at_once=at_once)
        for _ in range(2):
            assert await answers(engine, asked, cache, at_once=at_once) == expected

    served.loop.run(ask())


@pytest.mark.parametrize("task", SMALL)
def test_answers_of_every_task_are_kept(served: Served, task: str) -> None:
    metrics = Metrics()
    field = "context" if task == "question-answering" else "text"
    request = {field: "the good film", "question": "?", "params": {"return_members": True}}

    served.loop.run(
        answers(
            served.engines[task],
            [request, request],
            build_cache(task, metrics=metrics),
            at_once=False,
        )
    )

    assert outcomes(metrics, task) == {"miss": 1, "memory": 1}
