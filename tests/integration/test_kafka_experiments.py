"""Experiments over a real Kafka: begun, split, recorded, reported on, promoted, ended."""

from __future__ import annotations

import asyncio
import random
import subprocess
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest

from streamproc.clock import SystemClock
from streamproc.kafka.experiments import read_experiments
from streamproc.kafka.topic_admin import TopicAdmin
from streamproc.kafka.topic_reader import read_topic
from streamproc.kafka.topics import load_topics
from streamproc.messages.exposure import Exposure, read_exposure
from streamproc.settings import Settings
from streamproc.status.feed import StatusFeed
from streamproc.worker.run import run_worker
from tests.support.command import streamproc
from tests.support.kafka_place import until
from tests.support.topics import producing
from tests.support.versioned_models import ENSEMBLE, own_topics, spoil, write_versions
from tests.support.worker_process import WorkerProcess

pytestmark = pytest.mark.kafka
CLOCK = SystemClock()
WORDS = ("good", "bad", "film", "the", "was", "a", "great", "story", "not", "long")


class Place:
    """A models folder with four versions, the last one damaged; topics; a group of its own."""

    def __init__(self, kafka: str, folder: Path) -> None:
        self.name = f"experiments-{uuid4().hex[:8]}"
        models = folder / "models"
        models.mkdir()
        self.digests = write_versions(models, 1, 2, 3, 4)
        spoil(models, 4)
        self.folder = folder
        self.settings = Settings.model_validate(
            {
                "kafka_bootstrap_servers": kafka,
                "group_id": self.name,
                "models_dir": models,
                "topics_dir": own_topics(folder / "topics", self.name),
                "web_port": 0,
                "device": "cpu",
                "threads": 1,
                "session_timeout_s": 6,
                "state_interval_s": 0.2,
            }
        )
        self.catalogue = load_topics(self.settings.topics_dir)
        self.requests = self.catalogue.requests()[0]

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """A worker in this process that has said that it is there; it has drained at the end."""
        async with TopicAdmin(self.settings) as admin:
            await admin.create_missing(self.catalogue.topics.values())
        stop = asyncio.Event()
        running = asyncio.create_task(run_worker(self.settings, stop))
        try:
            # A command that came earlier would find no worker.
            async with StatusFeed(self.settings, SystemClock()) as feed:
                await until(lambda: bool(feed.states()), running)
            yield
        finally:
            stop.set()
            await running

    async def experiments(self, *words: str, code: int = 0) -> str:
        """What `streamproc experiments …` says, whose exit code is as expected."""
        done = await self.command("experiments", *words)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    async def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """What `streamproc …` says."""
        own = {
            "KAFKA_BOOTSTRAP_SERVERS": self.settings.kafka_bootstrap_servers,
            "GROUP_ID": self.name,
            "MODELS_DIR": str(self.settings.models_dir),
            "TOPICS_DIR": str(self.settings.topics_dir),
        }
        return await asyncio.to_thread(streamproc, *words, settings=own)

    async def ask(self, ids: Iterable[int], **fields: object) -> None:
        """Requests, each of a key and with a text of its own."""
        async with producing(self.settings.kafka_bootstrap_servers) as producer:
            for number in ids:
                drawn = random.Random(number)
                text = " ".join(drawn.choice(WORDS) for _ in range(drawn.randint(3, 12)))
                value = orjson.dumps({"id": str(number), "text": text, **fields})
                await producer.send(self.requests.name, value, key=str(number).encode())

    async def answers(self, count: int) -> dict[str, dict[str, Any]]:
        """The responses by id, once there are so many."""
        async with asyncio.timeout(60):
            while True:
                async with aclosing(read_topic(self.settings, self.requests.responses)) as records:
                    found = [orjson.loads(record.value or b"") async for record in records]
                by_id = {one["id"]: one for one in found}
                if len(by_id) >= count:
                    return by_id
                await asyncio.sleep(0.1)

    async def exposures(self) -> list[Exposure]:
        topic = self.catalogue.only("exposures")
        async with aclosing(read_topic(self.settings, topic)) as records:
            return [one async for record in records if (one := read_exposure(record.value))]

    async def exposed(self, count: int) -> list[Exposure]:
        """What is recorded, once there is so much."""
        async with asyncio.timeout(60):
            while len(found := await self.exposures()) < count:  # noqa: ASYNC110 - Kafka's state
                await asyncio.sleep(0.1)
        return found

    async def say(self, *said: dict[str, object]) -> None:
        """Feedback, in an order of its own."""
        topic = self.catalogue.only("feedback", "text-classification")
        async with producing(self.settings.kafka_bootstrap_servers) as producer:
            for one in random.Random(1).sample(said, len(said)):
                await producer.send_and_wait(topic, orjson.dumps(one), key=str(one["id"]).encode())

    def report(self, file: str) -> dict[str, Any]:
        return dict(orjson.loads((self.folder / file).read_bytes()))


async def test_the_better_of_two_versions_is_found_by_late_feedback_and_promoted(
    kafka: str, tmp_path: Path
) -> None:
    place, count = Place(kafka, tmp_path), 400
    async with place.working():
        said = await place.experiments(
            *("start", "trial", "--arm", ENSEMBLE, "--arm", f"{ENSEMBLE}@2"),
            *("--shadow", f"{ENSEMBLE}@3=0.25", "--no-verify"),
        )
        assert "splits requests for sentiment: sentiment@1 50 %, sentiment@2 50 %" in said
        await place.ask(range(count))
        answers = await place.answers(count)
        # Of somebody who names an ensemble nothing is decided for him.
        await place.ask([count], ensemble=ENSEMBLE)
        named = (await place.answers(count + 1))[str(count)]
        assert "experiment" not in named
        assert named["manifest"] == place.digests["1"]

        arms = {number: answers[str(number)]["experiment"]["arm"] for number in range(count)}
        assert 120 < sum(arm == "sentiment@2" for arm in arms.values()) < 280
        for number, arm in arms.items():
            assert answers[str(number)]["manifest"] == place.digests[arm.partition("@")[2]]
        found = await place.exposed(count)
        answering = {one.id: one for one in found if not one.is_shadow}
        assert {one.arm for one in found if one.is_shadow} == {"sentiment@3"}
        assert answering.keys() == {str(number) for number in range(count)}
        assert all(answering[str(number)].arm == arm for number, arm in arms.items())

        # Asked once more, a key has the arm that it had.
        await place.ask(range(20))
        await place.exposed(len(found) + 20)
        again = await place.answers(count + 1)
        assert all(again[str(n)]["experiment"]["arm"] == arms[n] for n in range(20))

        assert "not decided: no feedback has come" in await place.experiments("report", "trial")
        await place.experiments("promote", "trial", "--no-verify", code=2)
        # Whatever version 2 says is true, and most of what version 1 says too.
        truths = [
            {
                "id": str(number),
                "label": answers[str(number)]["result"]["label"]
                if arm == "sentiment@2" or number % 3
                else "another",
            }
            for number, arm in arms.items()
        ]
        await place.say(*truths, {"id": "nobody", "correct": True})
        shown = await place.experiments(
            *("report", "trial", "--json", str(tmp_path / "report.json")),
            *("--html", str(tmp_path / "report.html"), "--plot", str(tmp_path / "report.png")),
        )
        assert "sentiment@2 is better by accuracy than the control sentiment@1" in shown
        made = place.report("report.json")
        assert made["winner"] == "sentiment@2"
        by_name = {arm["name"]: arm for arm in made["arms"]}
        assert by_name["sentiment@2"]["accuracy"] == 1.0
        assert by_name["sentiment@1"]["truths"] == by_name["sentiment@1"]["requests"]
        # The repeated requests count once.
        assert by_name["sentiment@1"]["requests"] + by_name["sentiment@2"]["requests"] == count
        assert made["feedback"]["unexposed"] == 1
        assert "sentiment@2" in (tmp_path / "report.html").read_text("utf-8")
        assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")

        said = await place.experiments("promote", "trial", "--no-verify")
        assert "the experiment trial has ended" in said
        assert "promoted sentiment@2" in await place.experiments("list")
        ended = (await read_experiments(place.settings, place.catalogue.only("experiments")))[
            "trial"
        ]
        assert (ended.state, ended.promoted) == ("promoted", "sentiment@2")
        before = len(await place.answers(0))
        await place.ask(range(1_000, 1_050))
        last = await place.answers(before + 50)
        assert {last[str(n)]["manifest"] for n in range(1_000, 1_050)} == {place.digests["2"]}
        await place.experiments("stop", "trial", code=2)


async def test_an_arm_that_can_not_be_loaded_is_told_and_the_control_answers_for_it(
    kafka: str, tmp_path: Path
) -> None:
    place = Place(kafka, tmp_path)
    async with place.working():
        said = await place.experiments(
            *("start", "trial", "--arm", ENSEMBLE, "--arm", f"{ENSEMBLE}@4", "--no-verify"),
            code=1,
        )
        assert "does not serve sentiment@4, for which the control arm answers" in said
        assert "m1.onnx is not the file the manifest names" in said
        await place.ask(range(40))
        answers = await place.answers(40)
        assert {one["manifest"] for one in answers.values()} == {place.digests["1"]}
        assert {one["experiment"]["arm"] for one in answers.values()} == {"sentiment@1"}
        await place.exposed(40)
        report = await place.experiments("report", "trial")
        assert "requests of sentiment@4 were answered by the control" in report
        assert "m1.onnx is not the file" in await place.experiments("list")
        doctor = (await place.command("doctor")).stdout
        assert "does not serve sentiment@4, for which the control arm answers" in doctor
        await place.experiments("stop", "trial")
        before = len(await place.exposures())
        await place.ask(range(100, 120))
        await place.answers(60)
        assert len(await place.exposures()) == before


async def test_a_worker_that_starts_splits_from_its_first_answer_on_and_weights_change(
    kafka: str, tmp_path: Path
) -> None:
    place = Place(kafka, tmp_path)
    two = ("--arm", ENSEMBLE, "--arm", f"{ENSEMBLE}@2")
    async with TopicAdmin(place.settings) as admin:
        await admin.create_missing(place.catalogue.topics.values())
    said = await place.experiments("start", "trial", *two, "--no-verify", "--wait", "0")
    assert "splits requests" in said
    await place.ask(range(60))
    async with place.working():
        answers = await place.answers(60)
        assert all("experiment" in one for one in answers.values())
        arms = {name: one["experiment"]["arm"] for name, one in answers.items()}
        assert set(arms.values()) == {"sentiment@1", "sentiment@2"}

        refused = await place.experiments("start", "other", *two, "--no-verify", code=2)
        assert "trial runs already on requests for sentiment" in refused
        refused = await place.experiments(
            *("start", "trial", "--arm", ENSEMBLE, "--arm", f"{ENSEMBLE}@3", "--no-verify"), code=2
        )
        assert "streamproc experiments stop trial" in refused

        await place.experiments(
            "start", "trial", "--arm", ENSEMBLE, "--arm", f"{ENSEMBLE}@2=4", "--no-verify"
        )
        await place.ask(range(60))
        async with asyncio.timeout(60):
            while (  # noqa: ASYNC110 - Kafka's state
                sum(one.round == 2 for one in await place.exposures()) < 60
            ):
                await asyncio.sleep(0.1)
        later = {one.id: one.arm for one in await place.exposures() if one.round == 2}
        # Nobody leaves the arm whose weight rises.
        assert all(later[name] == arm for name, arm in arms.items() if arm == "sentiment@2")
        assert sum(arm == "sentiment@2" for arm in later.values()) > 35


async def test_a_worker_that_is_killed_leaves_no_request_without_its_record(
    kafka: str, tmp_path: Path
) -> None:
    place, count = Place(kafka, tmp_path), 2_000
    async with TopicAdmin(place.settings) as admin:
        await admin.create_missing(place.catalogue.topics.values())
    await place.experiments(
        *("start", "trial", "--arm", ENSEMBLE, "--arm", f"{ENSEMBLE}@2"),
        *("--no-verify", "--wait", "0"),
    )
    own = {
        "MODELS_DIR": str(place.settings.models_dir),
        "TOPICS_DIR": str(place.settings.topics_dir),
        "SESSION_TIMEOUT_S": "6",
    }
    worker = WorkerProcess(kafka, place.name, tmp_path / "worker.log", own)
    worker.start()
    try:
        await worker.wait_until_ready()
        await place.ask(range(count))
        await place.answers(count // 4)
        worker.kill()
        worker.start()
        answers = await place.answers(count)
        async with asyncio.timeout(60):
            found = await place.exposures()
            while {one.id for one in found} != answers.keys():
                await asyncio.sleep(0.1)
                found = await place.exposures()
    finally:
        worker.stop()
    assert answers.keys() == {str(number) for number in range(count)}
    # Whoever is answered twice is so by the same arm.
    arms: dict[str, set[str]] = {}
    for one in found:
        arms.setdefault(one.id, set()).add(one.arm)
    assert {len(names) for names in arms.values()} == {1}
    assert all(arms[name] == {one["experiment"]["arm"]} for name, one in answers.items())


async def test_a_load_that_is_sent_meanwhile_compares_the_arms(kafka: str, tmp_path: Path) -> None:
    place = Place(kafka, tmp_path)
    load, report = (str(tmp_path / name) for name in ("load.json", "report.json"))
    async with place.working():
        arms = ("--arm", ENSEMBLE, "--arm", f"{ENSEMBLE}@2", "--decide-on", "errors")
        await place.experiments("start", "trial", *arms, "--no-verify")
        sent = await place.command(
            *("load", "--rate", "20", "--duration-s", "4", "--warm-up-s", "0"),
            *("--length", "40", "--json", load),
        )
        assert sent.returncode == 0, sent.stdout + sent.stderr
        said = await place.experiments("report", "trial", "--load", load, "--json", report)
        await place.experiments("stop", "trial")

    assert "Under load: load.json" in said
    (step,) = place.report("load.json")["steps"]
    (level,) = place.report("report.json")["load"]["levels"]
    assert level["arms"].keys() == {f"{ENSEMBLE}@1", f"{ENSEMBLE}@2"}
    asked = {name: arm["asked"] for name, arm in level["arms"].items()}
    assert min(asked.values()) > 10
    assert sum(asked.values()) == step["asked"]
    assert all(arm["latency_ms"]["p50"] > 0 for arm in level["arms"].values())
