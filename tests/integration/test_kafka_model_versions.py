"""Versions are exchanged under load, over a real Kafka: nothing is lost, and a bad one refused."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from itertools import count, pairwise
from pathlib import Path
from uuid import uuid4

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from streamproc.clock import SystemClock
from streamproc.kafka.group_table import store_entry
from streamproc.kafka.model_choices import choice_feed, read_choices
from streamproc.kafka.topic_admin import TopicAdmin
from streamproc.kafka.topic_reader import read_topic
from streamproc.kafka.topics import load_topics
from streamproc.messages.model_choice import ModelChoice
from streamproc.messages.worker_state import WorkerState
from streamproc.settings import Settings
from streamproc.status.feed import StatusFeed
from streamproc.status.rollout import Rollout, rollout
from streamproc.worker.run import run_worker
from tests.support.topics import producing
from tests.support.versioned_models import ENSEMBLE, choice, own_topics, spoil, write_versions

pytestmark = pytest.mark.kafka
CLOCK = SystemClock()


class Place:
    """A models folder, topics, and the settings of a worker on them."""

    def __init__(self, kafka: str, folder: Path, **changes: object) -> None:
        self.name = f"versions-{uuid4().hex[:8]}"
        self.models = folder / "models"
        self.models.mkdir()
        self.digests = write_versions(self.models, 1, 2, 3)
        spoil(self.models, 3)
        self.settings = Settings.model_validate(
            {
                "kafka_bootstrap_servers": kafka,
                "group_id": self.name,
                "models_dir": self.models,
                "topics_dir": own_topics(folder / "topics", self.name),
                "web_port": 0,
                "device": "cpu",
                "threads": 1,
                "session_timeout_s": 6,
                "state_interval_s": 0.2,
                **changes,
            }
        )
        catalogue = load_topics(self.settings.topics_dir)
        self.topics = list(catalogue.topics.values())
        self.requests = catalogue.requests()[0]
        self.topic = catalogue.models_topic() or ""

    async def make(self) -> None:
        async with TopicAdmin(self.settings) as admin:
            await admin.create_missing(self.topics)

    async def tell(self, version: int, *before: int) -> ModelChoice:
        told = choice(self.models, self.name, version, CLOCK.now_ms(), *before)
        await store_entry(self.settings, self.topic, told, CLOCK)
        return told

    async def responses(self) -> list[dict[str, object]]:
        records = read_topic(self.settings, self.requests.responses)
        async with aclosing(records) as found:
            return [orjson.loads(record.value or b"") async for record in found]

    async def answered(self, count: int) -> None:
        """Wait until the first so many requests are: one of a topic-partition that has no leader
        yet comes later than those behind it."""
        async with asyncio.timeout(60):
            missing = set(range(count))
            while missing:
                await asyncio.sleep(0.1)
                missing -= {int(str(one["id"])) for one in await self.responses()}


@asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[None]:
    """A worker in this process; it has drained when the block has ended."""
    stop = asyncio.Event()
    running = asyncio.create_task(run_worker(settings, stop))
    try:
        yield
    finally:
        stop.set()
        await running


@asynccontextmanager
async def asking(place: Place) -> AsyncIterator[Callable[[], int]]:
    """Requests that go on and on; how many have been stored so far."""
    sent = 0

    async def ask(producer: AIOKafkaProducer) -> None:
        nonlocal sent
        for number in count():
            value = orjson.dumps({"id": str(number), "text": f"good film {number % 7}"})
            await producer.send_and_wait(place.requests.name, value, key=str(number).encode())
            sent += 1
            await asyncio.sleep(0.005)

    async with producing(place.settings.kafka_bootstrap_servers) as producer:
        task = asyncio.create_task(ask(producer))
        try:
            yield lambda: sent
        finally:
            task.cancel()
            await asyncio.wait({task})


async def followed(place: Place, told: ModelChoice) -> tuple[Rollout, list[WorkerState]]:
    """What became of a choice, once every worker has said so."""
    async with asyncio.timeout(60), StatusFeed(place.settings, CLOCK) as feed:
        while True:
            states = feed.states()
            found = rollout(states, told, CLOCK.now_ms())
            if states and found.is_through:
                return found, states
            await asyncio.sleep(0.05)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - what is waited for is many things
            await asyncio.sleep(0.02)


async def test_under_load_a_version_is_promoted_rolled_back_and_a_broken_one_refused(
    kafka: str, tmp_path: Path
) -> None:
    place = Place(kafka, tmp_path)
    await place.make()
    async with working(place.settings):
        async with asking(place) as sent:
            await place.answered(50)
            second, _ = await followed(place, await place.tell(2, 1))
            at_second = sent()
            await place.answered(at_second + 50)
            first, _ = await followed(place, await place.tell(1))
            at_first = sent()
            await place.answered(at_first + 50)
            broken, states = await followed(place, await place.tell(3, 1))
            at_broken = sent()
            await place.answered(at_broken + 50)
        asked = sent()
        await place.answered(asked)
    assert len(second.serving) == len(first.serving) == 1
    (reason,) = broken.refused.values()
    assert "m1.onnx is not the file the manifest names" in reason
    (ensemble,) = states[0].ensembles
    assert (ensemble.version, ensemble.wanted) == ("1", "3")

    # One that was being sent when asking ended may be there too.
    responses = {int(str(one["id"])): one for one in await place.responses()}
    counted = Counter(str(one["id"]) for one in await place.responses())
    assert set(range(asked)) <= responses.keys() <= set(range(asked + 1))
    assert set(counted.values()) == {1}
    assert {one["status"] for one in responses.values()} == {"ok"}
    versions = {manifest: version for version, manifest in place.digests.items()}
    answered = [versions[str(responses[number]["manifest"])] for number in range(asked)]
    assert "3" not in answered
    # Requests of several topic-partitions may pass one another around an exchange, and only there.
    assert answered[at_second : at_second + 30] == ["2"] * 30
    assert set(answered[:50]) == set(answered[at_first:]) == {"1"}
    changes = [number for number, (a, b) in enumerate(pairwise(answered)) if a != b]
    assert len(changes) >= 2


async def test_a_worker_that_starts_serves_what_was_promoted_from_its_first_answer_on(
    kafka: str, tmp_path: Path
) -> None:
    place = Place(kafka, tmp_path)
    await place.make()
    told = await place.tell(2, 1)
    assert await read_choices(place.settings, place.topic) == {ENSEMBLE: told}
    async with asking(place) as sent, working(place.settings):
        await followed(place, told)
        await place.answered(20)
        assert sent() >= 20
    answers = await place.responses()
    assert {one["manifest"] for one in answers} == {place.digests["2"]}
    assert answers


async def test_a_worker_without_a_topic_of_models_serves_what_its_folder_says(
    kafka: str, tmp_path: Path
) -> None:
    place = Place(kafka, tmp_path)
    place.topics = [topic for topic in place.topics if topic.kind != "models"]
    await place.make()
    async with asking(place), working(place.settings):
        await place.answered(20)
    assert {one["manifest"] for one in await place.responses()} == {place.digests["1"]}


async def test_the_topic_is_followed_as_soon_as_somebody_makes_it(
    kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamproc.kafka.topic_follower.LOOK_AGAIN_S", 0.1)
    place = Place(kafka, tmp_path)
    heard: list[dict[str, ModelChoice]] = []
    feed = choice_feed(place.settings, place.topic, CLOCK, lambda told: heard.append(dict(told)))
    following = asyncio.create_task(feed.follow())
    try:
        async with asyncio.timeout(60):
            await feed.caught_up.wait()
        assert not feed.has_told
        await place.make()
        told = await place.tell(2, 1)
        await until(lambda: bool(heard) and heard[-1] == {ENSEMBLE: told})
    finally:
        following.cancel()
        await asyncio.wait({following})
