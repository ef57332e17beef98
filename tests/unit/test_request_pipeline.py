from __future__ import annotations

import asyncio
import random
import sys
from typing import Any

import orjson
import pytest
from tenacity import stop_after_attempt

from streamproc import __version__
from streamproc.errors import OutOfMemory, TooLarge, WorkerFault
from streamproc.messages.lane import Lane
from streamproc.messages.record import ProducerRecord
from streamproc.metrics import Metrics
from streamproc.request_pipeline import Pipeline
from streamproc.serving.engine import Engine, Engines
from streamproc.serving.inference.batch import Batch
from streamproc.serving.inference.executor import ModelExecutor
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

WORDS = ("good", "bad", "film", "the", "x", "日本", "👍🏽", "\r\n")


def measured(
    broker: MemoryBroker, engine: Engine, metrics: Metrics, lane: Lane = Lane.INTERACTIVE
) -> Pipeline:
    return Pipeline(
        build_route(lane),
        Engines({"tiny": engine}),
        broker.publish,
        clock=ManualClock(),
        metrics=metrics,
        stop_after=stop_after_attempt(3),
    )


async def test_a_request_gets_the_same_result_to_the_byte_whatever_it_was_batched_with(
    executor: ModelExecutor,
) -> None:
    draw = random.Random(3)
    texts = [" ".join(draw.choices(WORDS, k=draw.randrange(60))) for _ in range(40)]
    records = [build_record({"id": str(n), "text": text}) for n, text in enumerate(texts)]
    found: list[dict[str, bytes]] = []
    for budget_tokens, lane in [(16, Lane.INTERACTIVE), (64, Lane.BULK), (4096, Lane.INTERACTIVE)]:
        broker = MemoryBroker()
        engine = build_engine(executor=executor, budget_tokens=budget_tokens)
        pipeline = build_pipeline(broker, engine, route=build_route(lane))
        draw.shuffle(records)

        await asyncio.gather(*map(pipeline, records))

        answers = broker.values("responses")
        found.append({answer["id"]: orjson.dumps(answer["result"]) for answer in answers})

    assert len(found[0]) == len(texts)
    assert found[0] == found[1] == found[2]


async def test_hostile_records_among_good_ones_leave_the_good_ones_answered(
    executor: ModelExecutor,
) -> None:
    broker = MemoryBroker()
    pipeline = build_pipeline(broker, build_engine(executor=executor))
    bad: list[Any] = [None, b"\xff", b"[]", {"text": 1}, {"ensemble": "../x"}, b"{" * 5_000]
    records = [build_record({"id": f"g{n}", "text": "good"}, offset=n) for n in range(60)]
    records += [build_record(bad[n % len(bad)], offset=100 + n) for n in range(60)]
    random.Random(4).shuffle(records)

    await asyncio.gather(*map(pipeline, records))

    status = {answer["id"]: answer["status"] for answer in broker.values("responses")}
    assert {status[f"g{n}"] for n in range(60)} == {"ok"}
    assert len(broker.topics["dlq"]) == 60


async def test_attempts_back_off_and_end_when_they_are_told_to(executor: ModelExecutor) -> None:
    def refuse(_: Batch) -> None:
        raise OutOfMemory("no memory")

    slept: list[float] = []

    class Noting(ManualClock):
        async def sleep(self, seconds: float) -> None:
            slept.append(seconds)
            await super().sleep(seconds)

    engine = build_engine(
        build_spec(["a"]), [ScriptedSession("a", before=refuse)], executor=executor
    )
    pipeline = build_pipeline(MemoryBroker(), engine, clock=Noting(), attempts=5)

    with pytest.raises(WorkerFault):
        await pipeline(build_record({"text": "x"}))

    assert len(slept) == 4
    assert slept == sorted(slept)
    assert slept[0] < slept[-1]


async def test_a_fault_ends_at_the_deadline_rather_than_being_tried_for_ever(
    executor: ModelExecutor,
) -> None:
    def refuse(_: Batch) -> None:
        raise OutOfMemory("no memory")

    class Patient(ManualClock):
        async def sleep(self, seconds: float) -> None:
            await asyncio.sleep(10)

    broker = MemoryBroker()
    engine = build_engine(
        build_spec(["a"]), [ScriptedSession("a", before=refuse)], executor=executor
    )

    await build_pipeline(broker, engine, clock=Patient(), attempts=1_000)(
        build_record({"id": "r", "text": "x", "deadline_ms": 5})
    )

    (response,) = broker.values("responses")
    assert response["error"]["type"] == "deadline"


async def test_requests_and_dead_letters_are_counted_by_how_they_ended(
    executor: ModelExecutor,
) -> None:
    metrics = Metrics()
    pipeline = measured(MemoryBroker(), build_engine(executor=executor), metrics, Lane.BULK)

    for value in ({"text": "x"}, {"text": "x"}, {"text": 1}, b"{"):
        await pipeline(build_record(value))

    def count(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(
            f"streamproc_{name}_total", {"task": "text-classification", **labels}
        )

    assert count("requests", lane="bulk", status="ok") == 2
    assert count("requests", lane="bulk", status="error") == 1
    assert count("requests", lane="bulk", status="unreadable") == 1
    assert count("dead_letters", type="invalid") == 1
    assert count("dead_letters", type="unreadable") == 1


async def test_how_long_a_request_lay_in_kafka_is_measured_and_told(
    executor: ModelExecutor,
) -> None:
    broker, metrics = MemoryBroker(), Metrics()
    pipeline = measured(broker, build_engine(executor=executor), metrics)
    now_ms = ManualClock().now_ms()

    await pipeline(build_record({"id": "old", "text": "x"}, timestamp_ms=now_ms - 90_000))
    await pipeline(build_record({"id": "of the future", "text": "x"}, timestamp_ms=now_ms + 5_000))

    assert [answer["timing"]["age_ms"] for answer in broker.values("responses")] == [90_000, 0]
    labels = {"task": "text-classification", "lane": "interactive"}
    value = metrics.registry.get_sample_value
    assert value("streamproc_request_age_seconds_sum", labels) == 90
    assert value("streamproc_request_age_seconds_bucket", {**labels, "le": "60.0"}) == 1
    assert value("streamproc_build_info", {"version": __version__}) == 1
    assert value("process_open_fds") or sys.platform != "linux"


async def test_what_users_wrote_is_not_logged(
    executor: ModelExecutor, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline = measured(MemoryBroker(), build_engine(executor=executor), Metrics())

    await pipeline(build_record({"id": "r", "text": "secret", "params": {"secret": 1}}))
    await pipeline(build_record({"id": "r", "text": ["secret"], "metadata": "secret"}))
    await pipeline(build_record(b'{"text": "secret'))

    written = capsys.readouterr()
    assert "dead letter" in written.out + written.err
    assert "secret" not in written.out + written.err


async def test_a_dead_letter_that_its_topic_does_not_take_is_answered_all_the_same(
    executor: ModelExecutor,
) -> None:
    def refuse(record: ProducerRecord) -> None:
        if record.topic == "dlq" and len(record.value or b"") > 100:
            raise TooLarge("too large", "100 bytes at most")

    broker = MemoryBroker(refuse)
    pipeline = build_pipeline(broker, build_engine(executor=executor))

    await pipeline(build_record({"id": "r", "text": 1, "more": "x" * 200}, offset=7))

    (response,) = broker.values("responses")
    assert (response["id"], response["error"]["type"]) == ("r", "invalid")
    (letter,) = broker.topics["dlq"]
    headers = dict(letter.headers)
    assert (letter.key, letter.value) == (None, None)
    assert headers["streamproc-error-original-left-out"] == b"true"
    assert letter.is_last_resort
    assert headers["streamproc-error-type"] == b"invalid"
    assert headers["streamproc-request-offset"] == b"7"


async def test_a_request_whose_key_fits_nowhere_is_answered_without_it(
    executor: ModelExecutor,
) -> None:
    def refuse(record: ProducerRecord) -> None:
        if len(record.key or b"") > 10_000:
            raise TooLarge("too large", "10000 bytes at most")

    broker = MemoryBroker(refuse)
    pipeline = build_pipeline(broker, build_engine(executor=executor))

    await pipeline(build_record({"id": "r", "text": "x"}, key=b"k" * 50_000))

    (answer,) = broker.topics["responses"]
    assert answer.key is None
    assert broker.values("responses")[0]["error"]["type"] == "too-large"
