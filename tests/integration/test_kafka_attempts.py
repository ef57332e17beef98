"""A request that ends the process is found, given up on, and its neighbours are answered."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from streamproc.errors import WorkerFault
from streamproc.kafka.attempts import Mark
from streamproc.kafka.dispatcher import Subscription
from streamproc.kafka.producer import Producer
from streamproc.kafka.topic_reader import read_topic
from streamproc.kafka.worker import KafkaWorker
from streamproc.messages.lane import Lane
from streamproc.messages.record import ProducerRecord, Record
from tests.support.kafka_place import CLOCK, Place, until
from tests.support.lethal_worker import LETHAL_EXIT

pytestmark = pytest.mark.kafka

_log = logging.getLogger(__name__)

ROOT = Path(__file__).parents[2]
REQUESTS, LETHAL = 150, 70


@pytest.fixture
async def place(kafka: str) -> Place:
    made = Place(kafka, topic_partitions=2)
    await made.make()
    return made


async def marks(place: Place) -> dict[int, Mark]:
    """The mark beside each committed offset of the requests' topic."""
    admin = AIOKafkaAdminClient(bootstrap_servers=place.settings.kafka_bootstrap_servers)
    await admin.start()
    found = await admin.list_consumer_group_offsets(place.settings.group_id)
    await admin.close()
    return {
        tp.partition: Mark.decode(at.metadata)
        for tp, at in found.items()
        if tp.topic == place.requests
    }


async def ask(place: Place) -> None:
    producer = Producer(place.settings, CLOCK)
    await producer.start()
    for number in range(REQUESTS):
        text = "bad film" if number == LETHAL else "good film"
        body = orjson.dumps({"id": f"r{number}", "text": text})
        await producer.send(ProducerRecord(place.requests, f"r{number}".encode(), body))
    await producer.stop()


async def answers(place: Place) -> dict[str, dict[str, str]]:
    records = [record async for record in read_topic(place.settings, place.responses)]
    bodies = [orjson.loads(record.value or b"") for record in records]
    return {body["id"]: body for body in bodies}


def started(place: Place) -> subprocess.Popen[bytes]:
    module = [sys.executable, "-m", "tests.support.lethal_worker"]
    place_of = [place.settings.kafka_bootstrap_servers, place.name]
    return subprocess.Popen([*module, *place_of], cwd=ROOT)


async def test_it_is_a_dead_letter_after_four_deaths_and_all_others_are_answered(
    place: Place,
) -> None:
    await ask(place)
    exits: list[int] = []
    found: dict[str, dict[str, str]] = {}
    while len(found) < REQUESTS:
        assert len(exits) <= 4
        worker = await asyncio.to_thread(started, place)
        try:
            while worker.poll() is None and len(found) < REQUESTS:
                await asyncio.sleep(0.3)
                found = await answers(place)
            if worker.poll() is None:
                worker.terminate()
            exits.append(await asyncio.to_thread(worker.wait, 60))
            _log.warning("exits %s, answers %d, marks %s", exits, len(found), await marks(place))
        finally:
            worker.kill()

    lethal = found.pop(f"r{LETHAL}")
    assert {answer["status"] for answer in found.values()} == {"ok"}
    assert lethal["status"] == "error"
    assert lethal["error"]["type"] == "failed"  # type: ignore[index]
    assert lethal["error"]["title"] == "ended the worker"  # type: ignore[index]
    letters = [record async for record in read_topic(place.settings, place.bulk)]
    assert [letter.key for letter in letters] == [f"r{LETHAL}".encode()]
    assert exits == [LETHAL_EXIT] * 4 + [0]
    assert sum((await place.committed()).values()) == REQUESTS
    assert not any(mark.running for mark in (await marks(place)).values())


async def test_a_worker_that_must_end_says_why_and_leaves_its_mark(place: Place) -> None:
    await ask(place)
    begun, reasons = asyncio.Event(), list[str]()

    async def hang(record: Record) -> None:
        begun.set()
        await asyncio.Event().wait()

    worker = KafkaWorker(
        place.settings.model_copy(update={"drain_timeout_s": 0.1}),
        [Subscription(place.requests, Lane.INTERACTIVE, hang)],
        clock=CLOCK,
        producer=Producer(place.settings, CLOCK),
        must_end=lambda: reasons[0] if reasons else None,
    )
    running = asyncio.create_task(worker.run(asyncio.Event()))
    await until(begun.is_set, running)
    reasons.append("member a hangs; start it again")

    with pytest.raises(WorkerFault, match="member a hangs"):
        await asyncio.wait_for(running, 60)

    # What hung may be a request's doing: the next owner is to be careful.
    assert any(mark.running for mark in (await marks(place)).values())
