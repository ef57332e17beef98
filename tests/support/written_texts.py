"""A worker in this process that writes slowly, on topics of a test's own, and what it wrote."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
from tenacity import stop_never

from streamproc.kafka.background import beside
from streamproc.kafka.cancels import CancelFeed
from streamproc.kafka.producer import Producer
from streamproc.kafka.topic_admin import TopicAdmin
from streamproc.kafka.topic_reader import read_topic
from streamproc.kafka.topics import load_topics
from streamproc.messages.cancel import cancel_record
from streamproc.messages.lane import Lane
from streamproc.messages.part_reader import is_part
from streamproc.messages.publishing import ReplyRoute
from streamproc.messages.record import ProducerRecord, Record
from streamproc.messages.reply_address import SPRING_CORRELATION_ID
from streamproc.metrics import Metrics
from streamproc.request_pipeline import Pipeline
from streamproc.serving.cancellation import Cancels
from streamproc.serving.engine import Engine, Engines
from streamproc.settings import shipped
from streamproc.testing.generative import (
    Histories,
    ScriptedStepModel,
    build_decoding_engine,
    build_decoding_spec,
)
from tests.support.kafka_place import CLOCK, Place, working

TASK = "text-generation"
ENDLESS: dict[str, Any] = {"max_new_tokens": 15_000, "min_new_tokens": 15_000}
"""Minutes, if nobody ends it."""
SHORT: dict[str, Any] = {"max_new_tokens": 200, "min_new_tokens": 200}
_SPEC = build_decoding_spec(["a"], max_tokens=20_000)
_STEP_S = 0.002


class WritingPlace(Place):
    """Topics of one task, described in a folder as the shipped ones are; one worker on them.

    steps: of the model, each the first tokens of the texts that it had
    """

    def __init__(self, kafka: str, folder: Path) -> None:
        super().__init__(kafka, topic_partitions=2)
        self.letters, self.replies = f"{self.name}.dlq", f"{self.name}.replies"
        self.cancels = f"{self.name}.cancels"
        topics_dir = self._described(folder / "topics")
        self.settings = self.settings.model_copy(update={"topics_dir": topics_dir})
        self.metrics, self.known = Metrics(), Cancels(CLOCK)
        self.steps: list[set[int]] = []

    async def make_described(self, *without: str) -> None:
        """The topics that are described, but for some."""
        topics = load_topics(self.settings.topics_dir).topics
        async with TopicAdmin(self.settings) as admin:
            await admin.create_missing([one for name, one in topics.items() if name not in without])

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """A worker that follows what is taken back, and begins as it does."""
        pipelines: dict[Producer, Pipeline] = {}
        engines = self._engines()

        async def handle(producer: Producer, record: Record) -> None:
            if producer not in pipelines:
                pipelines[producer] = self._pipeline(engines, producer)
            await pipelines[producer](record)

        feed = CancelFeed(self.settings, self.cancels, CLOCK, self.known.take)
        async with beside(feed.follow()):
            async with asyncio.timeout(60):
                await feed.caught_up.wait()
            async with working(self, handle):
                yield

    async def ask(self, *names: str, params: dict[str, Any] = ENDLESS) -> None:
        """Requests whose names are their texts, their ids, and what they are taken back by."""
        await self.store(
            *(
                ProducerRecord(
                    self.requests,
                    name.encode(),
                    orjson.dumps({"id": name, "text": name, "params": params}),
                    ((SPRING_CORRELATION_ID, name.encode()),),
                )
                for name in names
            )
        )

    async def take_back(self, *names: str) -> None:
        """Requests that were asked so."""
        await self.store(*(cancel_record(self.cancels, name.encode()) for name in names))

    async def store(self, *records: ProducerRecord) -> None:
        """Records in their order."""
        producer = Producer(self.settings, CLOCK)
        await producer.start()
        for record in records:
            await producer.send(record)
        await producer.stop()

    async def ended(self, count: int, topic: str | None = None) -> dict[str, dict[str, Any]]:
        """The responses by their ids, once there are so many: one for each request."""
        found: list[dict[str, Any]] = []
        async with asyncio.timeout(60):
            while len(found) < count:
                await asyncio.sleep(0.1)
                found = [
                    orjson.loads(record.value or b"")
                    async for record in read_topic(self.settings, topic or self.responses)
                    if not is_part(record.headers)
                ]
        by_id = {one["id"]: one for one in found}
        assert len(by_id) == len(found) == count
        return by_id

    async def is_written(self, *texts: str) -> None:
        """Returns once a few steps had all of these."""
        tokens = {_first_token(text) for text in texts}
        async with asyncio.timeout(60):
            while sum(tokens <= step for step in self.steps) < 5:  # noqa: ASYNC110 - a thread
                await asyncio.sleep(0.01)

    def steps_of(self, text: str, since: int = 0) -> int:
        """How many steps had a text that begins so."""
        token = _first_token(text)
        return sum(token in step for step in self.steps[since:])

    def counted(self, stage: str) -> float:
        """How many requests were taken back."""
        labels = {"task": TASK, "lane": "interactive", "stage": stage}
        value = self.metrics.registry.get_sample_value
        return value("streamproc_cancelled_requests_total", labels) or 0.0

    def _engines(self) -> Engines:
        def step(rows: Histories) -> None:
            self.steps.append({row[0] for row in rows})
            time.sleep(_STEP_S)

        return Engines({"tiny": writers(step)})

    def _pipeline(self, engines: Engines, producer: Producer) -> Pipeline:
        route = ReplyRoute(
            TASK,
            Lane.INTERACTIVE,
            "tiny",
            responses=self.responses,
            dead_letters=self.letters,
            reply_topics=frozenset({self.replies}),
            max_message_bytes=1 << 20,
        )
        return Pipeline(
            route,
            engines,
            producer.send,
            clock=CLOCK,
            metrics=self.metrics,
            stop_after=stop_never,
            hand_over=producer.hand_over,
            cancels=self.known,
        )

    def _described(self, folder: Path) -> Path:
        names = {
            f"nlp.{TASK}.requests.v1": self.requests,
            f"nlp.{TASK}.bulk.v1": self.bulk,
            f"nlp.{TASK}.responses.v1": self.responses,
            f"nlp.{TASK}.dlq.v1": self.letters,
            "nlp.replies.v1": self.replies,
            "nlp.cancels.v1": self.cancels,
        }
        folder.mkdir()
        topics = shipped("topics")
        for file in names:
            described = (topics / f"{file}.yaml").read_text("utf-8")
            for name, own in names.items():
                described = described.replace(name, own)
            few = f"topic_partitions: {self.topic_partitions}"
            described = re.sub(r"topic_partitions: (12|24)", few, described)
            (folder / f"{file}.yaml").write_text(described, "utf-8")
        for kept in ("schemas", "examples"):
            (folder / kept).symlink_to(topics / kept)
        return folder


def writers(before: Callable[[Histories], None] | None = None) -> Engine:
    """What such a worker writes with; before: called with the texts of each step."""
    model = ScriptedStepModel("a", _SPEC.tokenizer.vocabulary_size, before)
    return build_decoding_engine(_SPEC, [model])


def _first_token(text: str) -> int:
    return int(next(iter(_SPEC.tokenizer.stream(text))).ids[0])
