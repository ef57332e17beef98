"""A request that meets a bug of ours: tried three times, then told so; the others go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest

from streamproc.clock import SystemClock
from streamproc.kafka.offsets import Delivery
from streamproc.kafka.requests_in_flight import ATTEMPTS, RequestsInFlight
from streamproc.messages.lane import Lane
from streamproc.messages.record import Record, TopicPartition
from streamproc.metrics import Metrics
from streamproc.request_pipeline import Pipeline
from streamproc.serving.batching.batch_metrics import BatchMetrics
from streamproc.serving.batching.batcher import Batcher, Limits
from streamproc.serving.inference.executor import ModelExecutor
from streamproc.testing import (
    ManualClock,
    MemoryBroker,
    build_engine,
    build_pipeline,
    build_record,
    build_spec,
)
from tests.support.buggy_task import Buggy
from tests.support.panicking_tokenizer import PANICS, panicking_library, panicking_tokenizer

MARK = "secret words"
METADATA = {"kept": [1]}


async def handle(pipeline: Pipeline, records: Sequence[Record]) -> list[int]:
    """The offsets that were finished, once all requests have ended."""
    finished: list[int] = []
    failed: list[Exception] = []
    requests = RequestsInFlight(
        ManualClock(),
        finished=lambda ticket: finished.append(ticket.offset),
        ended=lambda *_: None,
        failed=lambda _, error: failed.append(error),
    )
    for record in records:
        ticket = Delivery(TopicPartition(record.topic, 0), record.offset, 1)
        requests.start(ticket, record, pipeline, pipeline.refuse)
    assert await requests.drain(30)
    assert failed == []
    return sorted(finished)


def records_with(mark: int, text: str = MARK) -> list[Record]:
    texts = ["good" if number != mark else text for number in range(9)]
    return [
        build_record({"id": f"r{n}", "text": text, "metadata": METADATA}, offset=n)
        for n, text in enumerate(texts)
    ]


def statuses(broker: MemoryBroker) -> dict[str, str]:
    return {answer["id"]: answer["status"] for answer in broker.values("responses")}


async def test_it_fails_after_three_tries_and_nothing_of_its_text_is_told(
    executor: ModelExecutor, capsys: pytest.CaptureFixture[str]
) -> None:
    broker, engine = MemoryBroker(), build_engine(executor=executor)
    buggy = Buggy(engine.task, MARK)

    finished = await handle(build_pipeline(broker, replace(engine, task=buggy)), records_with(4))

    assert finished == list(range(9))
    assert statuses(broker) == {f"r{n}": "error" if n == 4 else "ok" for n in range(9)}
    (answer,) = [a for a in broker.values("responses") if a["status"] == "error"]
    assert (answer["error"]["type"], answer["error"]["title"]) == ("failed", "internal error")
    assert answer["metadata"] == METADATA
    assert f"{ATTEMPTS} times (KeyError in Buggy.begin" in answer["error"]["detail"]
    (letter,) = broker.topics["dlq"]
    assert orjson.loads(letter.value or b"")["text"] == MARK
    told = b" ".join(value or b"" for _, value in letter.headers) + orjson.dumps(answer)
    written = capsys.readouterr()
    assert MARK not in told.decode() + written.out + written.err


async def test_it_is_no_other_where_the_tokenizers_library_panics_over_a_text(
    executor: ModelExecutor,
) -> None:
    broker, spec = MemoryBroker(), replace(build_spec(), tokenizer=panicking_tokenizer())
    pipeline = build_pipeline(broker, build_engine(spec, executor=executor))

    finished = await handle(pipeline, records_with(4, PANICS))

    assert finished == list(range(9))
    assert statuses(broker) == {f"r{n}": "error" if n == 4 else "ok" for n in range(9)}
    (letter,) = broker.topics["dlq"]
    assert orjson.loads(letter.value or b"")["text"] == PANICS
    (answer,) = [a for a in broker.values("responses") if a["status"] == "error"]
    assert "(LibraryPanicked in TextTokenizer._encode:" in answer["error"]["detail"]


async def test_it_is_answered_when_a_later_try_succeeds(executor: ModelExecutor) -> None:
    broker, engine = MemoryBroker(), build_engine(executor=executor)
    buggy = Buggy(engine.task, MARK, times=2)

    await handle(build_pipeline(broker, replace(engine, task=buggy)), records_with(4))

    assert set(statuses(broker).values()) == {"ok"}
    assert "dlq" not in broker.topics


async def test_a_bug_that_a_batch_meets_is_that_of_the_chunk_alone_that_met_it(
    executor: ModelExecutor,
) -> None:
    broker, engine = MemoryBroker(), build_engine(executor=executor)
    first = next(engine.task.begin({"text": MARK}, {}, engine.spec).chunks())

    async def run(batch: Sequence[Any], lane: Lane) -> Sequence[Any]:
        if any(chunk.ids.tolist() == first.ids.tolist() for chunk in batch):
            raise ZeroDivisionError
        return [(await engine.scorer.submit(chunk, len(chunk), lane)).result for chunk in batch]

    batcher = Batcher(run, Limits(512, 2, 0, 4096), SystemClock(), BatchMetrics(Metrics(), "tiny"))
    pipeline = build_pipeline(broker, replace(engine, scorer=batcher))

    await handle(pipeline, records_with(4))

    assert statuses(broker) == {f"r{n}": "error" if n == 4 else "ok" for n in range(9)}


def _recurse() -> None:
    raise RecursionError


def _panic() -> None:
    panicking_library().encode(PANICS)


@pytest.mark.parametrize("fail", [_recurse, _panic])
async def test_a_record_that_can_not_even_be_read_without_a_bug_is_a_dead_letter(
    fail: Callable[[], None], executor: ModelExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: Any) -> None:
        fail()

    monkeypatch.setattr("streamproc.request_pipeline.read_request", read)
    broker = MemoryBroker()

    finished = await handle(
        build_pipeline(broker, build_engine(executor=executor)), records_with(0)[:1]
    )

    assert finished == [0]
    (letter,) = broker.topics["dlq"]
    assert dict(letter.headers)["streamproc-error-type"] == b"failed"
    assert "responses" not in broker.topics
    await asyncio.sleep(0)
