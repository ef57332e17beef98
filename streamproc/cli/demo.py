"""`streamproc demo`: everything once, on this machine: a real Kafka, a worker, real reviews."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from streamproc.broker import EmbeddedBroker
from streamproc.cli.broker import fetch_progress
from streamproc.clock import SystemClock
from streamproc.errors import OperatorError
from streamproc.kafka.client import RequestClient
from streamproc.kafka.dead_letters import dead_letters
from streamproc.kafka.producer import Producer
from streamproc.kafka.topic_admin import TopicAdmin
from streamproc.kafka.topics import RequestTopic, load_topics
from streamproc.messages.lane import Lane
from streamproc.messages.record import Outgoing
from streamproc.settings import Settings, read_settings

TASK = "text-classification"
SHOWN = 8
KILL_AFTER = 100
Review = dict[str, Any]


def demo() -> None:
    """Start a Kafka and a worker, send real reviews, and show what comes back; nothing is left."""
    # Topics are minutes old here, and clients complain about leaders not yet chosen.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    asyncio.run(_demo(Console(highlight=False)))


async def _demo(console: Console) -> None:
    with tempfile.TemporaryDirectory(prefix="streamproc-demo-") as folder, _kafka(console) as kafka:
        settings = read_settings(
            kafka_bootstrap_servers=kafka.bootstrap_servers, group_id="streamproc-demo"
        )
        topics = load_topics(settings.topics_dir)
        async with TopicAdmin(settings) as admin:
            created = await admin.create_missing(topics.topics.values())
        console.print(f"[green]✓[/] {len(created)} topics created from topics/*.yaml")
        worker = _Worker(settings, Path(folder) / "worker.log")
        try:
            worker.start()
            await _scenes(console, settings, worker, topics.request_topic(TASK, Lane.INTERACTIVE))
        finally:
            worker.stop()
    console.print("\nThe worker was told to stop (SIGTERM), drained, committed; Kafka is gone too.")
    console.print(
        "Next: [bold]streamproc broker[/], then [bold]streamproc worker[/]; see README.md."
    )


async def _scenes(
    console: Console, settings: Settings, worker: _Worker, topic: RequestTopic
) -> None:
    reviews = _reviews()
    *short, long = reviews
    async with _client(settings, topic) as client:
        answers = await worker.watch(_all(client, short[:SHOWN]))
        console.print("[green]✓[/] a worker answers: three ONNX models a request\n")
        console.print(_table(short[:SHOWN], answers))
        _show_long(console, long, (await worker.watch(_all(client, [long])))[0])
        await worker.watch(_show_bad_record(console, settings, topic, client))
        await _show_kill(console, worker, client, short)


def _show_long(console: Console, review: Review, answer: Review) -> None:
    coverage = answer["coverage"]
    console.print(
        f"\n[bold]A long document[/]: {coverage['characters']} characters, "
        f"{coverage['chunks']} overlapping chunks, {coverage['characters_covered']} characters "
        f"seen by the models: [bold]{answer['result']['label']}[/] "
        f"{answer['result']['score']:.3f} (its author said {review['metadata']['label']})"
    )


async def _show_bad_record(
    console: Console, settings: Settings, topic: RequestTopic, client: RequestClient
) -> None:
    producer = Producer(settings, SystemClock())
    await producer.start()
    try:
        await producer.send(Outgoing(topic.name, b"poison", b'{"text": "half a rec'))
    finally:
        await producer.stop()
    await _all(client, [{"text": "The requests around it are answered as if nothing was."}])
    async for letter in dead_letters(settings, topic.dlq):
        console.print(
            f"\n[bold]A poison record[/] does not stop the rest; its bytes wait in {topic.dlq}:\n"
            f"  {letter.offset_name} · {letter.title} · {letter.detail}"
        )


async def _show_kill(
    console: Console, worker: _Worker, client: RequestClient, reviews: list[Review]
) -> None:
    answering = [asyncio.create_task(_ask(client, review)) for review in reviews]
    for count, answer in enumerate(asyncio.as_completed(answering), start=1):
        await answer
        if count == KILL_AFTER:
            worker.kill()
            worker.start()
    answers = await asyncio.gather(*answering)
    right = sum(
        answer["result"]["label"] == review["metadata"]["label"]
        for review, answer in zip(reviews, answers, strict=True)
    )
    console.print(
        f"\n[bold]kill -9[/] after {KILL_AFTER} of {len(reviews)} reviews, and a new worker: "
        f"[bold]{len(answers)} of {len(reviews)} answered[/], nothing lost.\n"
        f"{right} of {len(reviews)} labels are what the author meant "
        f"({right / len(reviews):.0%}; these reviews are from the test set)."
    )


def _table(reviews: list[Review], answers: list[Review]) -> Table:
    table = Table(box=None)
    table.add_column("review", no_wrap=True)
    for column in ("answer", "score", "agree", "ms", "author"):
        table.add_column(column)
    for review, answer in zip(reviews, answers, strict=True):
        result, said = answer["result"], review["metadata"]["label"]
        colour = "green" if result["label"] == said else "red"
        table.add_row(
            f"{review['text'][:38]}…" if len(review["text"]) > 39 else review["text"],
            f"[{colour}]{result['label']}[/]",
            f"{result['score']:.3f}",
            f"{answer['agreement']:.0%}",
            f"{answer['timing']['total_ms']:.0f}",
            said,
        )
    return table


class _Worker:
    """`streamproc worker` as a process of its own, as users run it."""

    def __init__(self, settings: Settings, log: Path) -> None:
        self._log = log
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        flags = {
            "kafka_bootstrap_servers": self._settings.kafka_bootstrap_servers,
            "group_id": self._settings.group_id,
            "session_timeout_s": "6",
            "web_port": "0",
            "log_format": "json",
        }
        arguments = [f"--{name.replace('_', '-')}={value}" for name, value in flags.items()]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "streamproc", "worker", *arguments],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    async def watch(self, work: Any) -> Any:
        """Await `work`; raises OperatorError with the worker's last words if it ends before."""
        task = asyncio.ensure_future(work)
        while not task.done():
            await asyncio.wait({task}, timeout=0.5)
            if self._process is not None and self._process.poll() is not None and not task.done():
                task.cancel()
                last_words = self._log.read_text(errors="replace")[-2000:]
                raise OperatorError(f"the worker ended before it answered:\n{last_words}")
        return task.result()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


@contextmanager
def _kafka(console: Console) -> Iterator[EmbeddedBroker]:
    with fetch_progress(console) as report:
        broker = EmbeddedBroker(cache_dir=read_settings().cache_dir, progress=report)
        broker.start()
    try:
        console.print(f"[green]✓[/] Apache Kafka answers on {broker.bootstrap_servers}")
        yield broker
    finally:
        broker.stop()


@asynccontextmanager
async def _client(settings: Settings, topic: RequestTopic) -> AsyncIterator[RequestClient]:
    async with RequestClient(
        settings,
        SystemClock(),
        requests_topic=topic.name,
        responses_topic=topic.responses,
    ) as client:
        yield client


async def _all(client: RequestClient, reviews: list[Review]) -> list[Review]:
    """Responses in the order of reviews."""
    return list(await asyncio.gather(*(_ask(client, review) for review in reviews)))


async def _ask(client: RequestClient, review: Review) -> Review:
    # What the author said stays here: a worker has no use for it.
    return await client.ask({"text": review["text"]})


def _reviews() -> list[Review]:
    lines = (files("streamproc.cli") / "demo_reviews.jsonl").read_bytes().splitlines()
    return [orjson.loads(line) for line in lines]
