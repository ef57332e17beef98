"""The worker against a real Kafka: nothing lost, no commit too early, a drained end."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.errors import KafkaError

from streamproc.errors import BrokerUnavailable, TopicsError, WorkerFault
from streamproc.kafka.producer import Producer
from streamproc.kafka.topic_reader import read_topic
from streamproc.kafka.worker import KafkaWorker
from streamproc.logs import configure_logging
from streamproc.messages.lane import Lane
from streamproc.messages.record import Headers, ProducerRecord, Record
from tests.support.kafka_place import (
    CLOCK,
    Place,
    echo,
    slow,
    until,
    until_answered,
    working,
)
from tests.support.record_batches import batch

pytestmark = pytest.mark.kafka


@pytest.fixture
async def place(kafka: str) -> Place:
    made = Place(kafka, topic_partitions=4)
    await made.make()
    return made


async def test_every_request_of_both_lanes_is_answered_once_and_committed(place: Place) -> None:
    keys = await place.send(300) | await place.send(200, place.bulk)
    async with working(place, echo(place)) as (_, stop, running):
        answers = await until_answered(place, keys)
        stop.set()
        await running
    assert answers == Counter(keys)
    assert sum((await place.committed()).values()) == 500


async def test_a_tombstone_and_headers_of_any_kind_reach_the_handler_as_they_were_sent(
    place: Place,
) -> None:
    headers: Headers = (("h", b"1"), ("null", None), ("empty", b""), ("h", None), ("h", b"2"))
    producer = Producer(place.settings, CLOCK)
    await producer.start()
    await producer.send(ProducerRecord(place.requests, None, None, headers))
    await producer.stop()
    seen: list[Record] = []

    async def handle(_: Producer, record: Record) -> None:
        seen.append(record)

    async with working(place, handle) as (_, _stop, running):
        await until(lambda: len(seen) == 1, running)
    (read,) = [record async for record in read_topic(place.settings, place.requests)]
    assert read.headers == headers
    assert (seen[0].key, seen[0].value, seen[0].headers) == (None, None, headers)


async def test_stopping_commits_exactly_the_finished_prefix(place: Place) -> None:
    place.settings = place.settings.model_copy(update={"drain_timeout_s": 0.5})
    await place.send(100)
    seen: dict[int, list[int]] = {}

    async def handle(producer: Producer, record: Record) -> None:
        seen.setdefault(record.topic_partition, []).append(record.offset)
        if record.offset == 7:
            await asyncio.Event().wait()
        await producer.send(ProducerRecord(place.responses, record.key, record.value))

    async with working(place, handle) as (worker, stop, running):
        await until(lambda: sum(map(len, seen.values())) == 100, running)
        await until(lambda: worker.in_flight == 4, running)
        stop.set()
        await running
    assert await place.committed() == {(place.requests, number): 7 for number in range(4)}


async def test_what_a_stopped_worker_left_is_answered_by_the_next(place: Place) -> None:
    place.settings = place.settings.model_copy(update={"drain_timeout_s": 0.2})
    keys = await place.send(200)
    taken = 0

    async def slow_for_some(producer: Producer, record: Record) -> None:
        nonlocal taken
        taken += 1
        if record.offset % 3 == 0:
            await asyncio.Event().wait()
        await producer.send(ProducerRecord(place.responses, record.key, record.value))

    async with working(place, slow_for_some) as (_, stop, running):
        await until(lambda: taken == 200, running)
        stop.set()
        await running
    async with working(place, echo(place)):
        answers = await until_answered(place, keys)
    # What was finished behind one that was not is named beside the offset, and skipped.
    assert answers == Counter(keys)


async def test_a_full_lane_pauses_and_nothing_is_dropped(place: Place) -> None:
    settings = place.settings.model_copy(update={"max_in_flight_bytes": 1 << 20})
    keys = await place.send(1500, place.bulk, size_bytes=2000)
    most, paused = 0, False

    async with working(place, slow(place), settings) as (worker, _, _running):
        done = asyncio.create_task(until_answered(place, keys, 100))
        while not done.done():
            most = max(most, worker.in_flight_bytes(Lane.BULK))
            paused = paused or worker.is_paused(Lane.BULK)
            assert not worker.is_paused(Lane.INTERACTIVE)
            await asyncio.sleep(0.01)
        assert (await done) == Counter(keys)
        assert worker.in_flight_bytes(Lane.BULK) == 0
    # 57 requests fill the budget; what Faust had fetched by then still comes.
    assert paused
    assert most < 1000 * (2000 + 17 * 1024)


async def test_a_second_worker_joining_and_leaving_loses_nothing(place: Place) -> None:
    keys: set[bytes] = set()
    async with working(place, slow(place)) as (first, _, _running):
        sending = asyncio.create_task(place.send(1500))
        async with working(place, slow(place)) as (second, _, _running):
            keys |= await sending
            await until(lambda: len(second.assigned) == 4)
            await until(lambda: len(first.assigned) == 4)
            keys |= await place.send(500, place.bulk)
        answers = await until_answered(place, keys, 100)
    assert answers.keys() == keys


async def test_a_handler_that_keeps_raising_ends_the_worker_and_keeps_the_offset(
    place: Place,
) -> None:
    await place.send(40)

    async def handle(producer: Producer, record: Record) -> None:
        if record.offset == 3:
            raise RuntimeError("a bug")
        await producer.send(ProducerRecord(place.responses, record.key, record.value))

    async with working(place, handle) as (worker, _, running):
        with pytest.raises(WorkerFault, match="can't be handled"):
            await asyncio.wait_for(running, 60)
        assert worker.handler_errors >= 3
    assert set((await place.committed()).values()) == {3}


async def test_a_consumer_that_crashes_ends_the_worker(place: Place) -> None:
    async with working(place, echo(place)) as (worker, _, running):
        assert worker._dispatcher is not None
        consumer = worker._dispatcher._consumer._app.consumer
        await consumer._thread.crash(KafkaError("the client gave up"))
        with pytest.raises(BrokerUnavailable, match="the client gave up"):
            await asyncio.wait_for(running, 60)


async def test_the_log_of_a_crash_holds_no_text_of_the_requests_that_were_in_flight(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(place.settings)
    fetched_records = Fetcher.fetched_records

    async def fail_once_there_are_some(*arguments: Any, **options: Any) -> Any:
        records = await fetched_records(*arguments, **options)
        if records:
            raise ValueError(f"no sense in {records}")
        return records

    monkeypatch.setattr(Fetcher, "fetched_records", fail_once_there_are_some)
    async with working(place, echo(place)) as (_, _stop, running):
        await place.send_batch(batch([b'{"text": "Patient Doe has a rash."}'] * 3))
        with pytest.raises(BrokerUnavailable, match=r"stopped: ValueError$"):
            await asyncio.wait_for(running, 60)
    written = capsys.readouterr().err
    assert "Crashed reason" in written
    assert "fail_once_there_are_some" in written
    assert "Doe" not in written


async def test_a_worker_that_lacks_a_topic_says_which_and_does_not_start(place: Place) -> None:
    producer = Producer(place.settings, CLOCK)
    worker = KafkaWorker(
        place.settings,
        [],
        clock=CLOCK,
        producer=producer,
        needed_topics=[place.requests, "nobody.made.this"],
    )
    with pytest.raises(
        TopicsError, match=r"no topic nobody\.made\.this; `streamproc topics apply`"
    ):
        await worker.run(asyncio.Event())
