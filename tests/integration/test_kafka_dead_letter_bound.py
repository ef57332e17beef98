"""A worker that fails on everything by its own fault ends, and another answers what is left."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import orjson
import pytest
from tenacity import stop_never

from streamproc.errors import TooManyFailed
from streamproc.kafka.dispatcher import Subscription
from streamproc.kafka.ledger import read_ledger
from streamproc.kafka.producer import Producer
from streamproc.kafka.topic_reader import read_topic
from streamproc.kafka.worker import KafkaWorker
from streamproc.messages.dead_letter_bound import DeadLetterBound
from streamproc.messages.lane import Lane
from streamproc.messages.record import ProducerRecord, TopicPartition
from streamproc.metrics import Metrics
from streamproc.request_pipeline import Pipeline
from streamproc.serving.engine import Engine, Engines
from streamproc.testing import build_engine, build_route
from tests.support.buggy_task import Buggy
from tests.support.kafka_place import CLOCK, Place, run, until_answered

pytestmark = pytest.mark.kafka

REQUESTS, BURST = 120, 7


@pytest.fixture
async def place(kafka: str) -> Place:
    made = Place(kafka, topic_partitions=2)
    await made.make()
    return made


async def ask(place: Place) -> set[bytes]:
    producer = Producer(place.settings, CLOCK)
    await producer.start()
    keys = [f"r{number}".encode() for number in range(REQUESTS)]
    for key in keys:
        body = orjson.dumps({"id": key.decode(), "text": "good film"})
        await producer.send(ProducerRecord(place.requests, key, body))
    await producer.stop()
    return set(keys)


def worker_of(place: Place, engine: Engine) -> KafkaWorker:
    """One as `worker/run.py` puts it together; dead letters go to the topic of bulk requests."""
    metrics, producer = Metrics(), Producer(place.settings, CLOCK)
    bound = DeadLetterBound(BURST, 0.5, metrics)
    pipeline = Pipeline(
        replace(build_route(), responses=place.responses, dead_letters=place.bulk),
        Engines({"tiny": engine}),
        producer.send,
        clock=CLOCK,
        metrics=metrics,
        stop_after=stop_never,
        bound=bound,
    )
    return KafkaWorker(
        place.settings,
        [Subscription(place.requests, Lane.INTERACTIVE, pipeline, refuse=pipeline.refuse)],
        clock=CLOCK,
        producer=producer,
        bound=bound,
    )


async def letters(place: Place) -> list[bytes]:
    return [letter.key or b"" async for letter in read_topic(place.settings, place.bulk)]


async def test_it_ends_with_the_reason_after_a_burst_and_the_next_worker_answers_the_rest(
    place: Place,
) -> None:
    keys = await ask(place)
    engine = build_engine()
    broken = worker_of(place, replace(engine, task=Buggy(engine.task, "good film")))

    with pytest.raises(TooManyFailed, match=r"8 of the last 8 requests .*internal errors: 8"):
        await asyncio.wait_for(broken.run(asyncio.Event()), 60)

    given_up = await letters(place)
    assert len(given_up) == BURST
    topic_partitions = frozenset(TopicPartition(place.requests, number) for number in (0, 1))
    left = await read_ledger(place.settings, topic_partitions)
    finished = sum((at or 0) + len(above) for at, _, above in left.values())
    assert finished == BURST
    # It ended in order: the next one need not suspect any request of having killed it.
    assert not any(mark.running for _, mark, _ in left.values())

    async with run(worker_of(place, engine)):
        answers = await until_answered(place, keys)

    assert await letters(place) == given_up
    assert set(answers) == keys
    assert answers.total() == REQUESTS
