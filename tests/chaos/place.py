"""Where faults happen: a Kafka, workers that reach it through proxies, topics of a few parts."""

from __future__ import annotations

import asyncio
import random
import re
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from streamproc.kafka.embedded.config import Listener
from streamproc.kafka.embedded.ports import free_port
from streamproc.settings import read_settings
from tests.chaos.asked import BULK, ENRICHED, EVENT_LETTERS, EVENTS, OUTCOMES, REQUESTS
from tests.chaos.load import Load
from tests.chaos.watch import Watch
from tests.support.cluster import Cluster, cluster
from tests.support.command import ROOT
from tests.support.small_ensembles import write_small_ensembles
from tests.support.tcp_link import Link
from tests.support.topics import commit_ends, create_topic, reader
from tests.support.worker_process import WorkerProcess

TOPIC_PARTITIONS = 4
SESSION_S = 6
"""Of the workers; the shortest that Kafka takes."""

ROUTE = f"""\
kind: route
name: chaos
description: Events of an invented shop get their mood.
from:
  topics: [{EVENTS}]
  format: json
  lane: interactive
  start: earliest
answers:
  - name: mood
    task: text-classification
    ensemble: sentiment
    text: /body
    to: /nlp/mood
to:
  topic: {ENRICHED}
  key: same
  headers: same
meta: /nlp/run
dlq: {EVENT_LETTERS}
"""

Say = Callable[[str], None]


@dataclass
class Place:
    """What a fault is given.

    draw: all that is left to chance, from the run's seed
    """

    kafka: Cluster
    links: list[Link]
    workers: list[WorkerProcess]
    load: Load
    watch: Watch
    draw: random.Random
    say: Say

    async def pick(self) -> WorkerProcess:
        """One that works, if any does: the end of one that is only starting shows little."""
        for _ in range(100):
            working = [one for one in self.workers if await one.is_ready()]
            if working:
                return self.draw.choice(working)
            await asyncio.sleep(0.2)
        return self.draw.choice(self.workers)


@asynccontextmanager
async def place(
    folder: Path,
    seed: int,
    workers: int,
    settings: Mapping[str, str],
    say: Say,
    tree: Path = ROOT,
) -> AsyncIterator[Place]:
    """Everything started, and all workers ready.

    folder: for logs, which stay; tree: whose code workers run
    """
    prepare(folder)
    ports = [(free_port(), free_port()) for _ in range(workers)]
    listeners = [
        Listener(f"LINK{number}", behind, "PLAINTEXT", {}, advertised_port=before)
        for number, (before, behind) in enumerate(ports)
    ]
    described = {"TOPICS_DIR": str(folder / "topics"), "ROUTES_DIR": str(folder / "routes")}
    described["MODELS_DIR"] = str(folder / "models")
    name = f"chaos-{seed}"
    async with AsyncExitStack() as stack:
        kafka = await stack.enter_async_context(cluster(described, listeners))
        await create_topic(kafka.bootstrap_servers, EVENTS, TOPIC_PARTITIONS)
        await commit_ends(kafka.bootstrap_servers, name, REQUESTS, BULK)
        links = [await stack.enter_async_context(Link(*pair).open()) for pair in ports]
        told = {"TASKS": "text-classification", "THREADS": "1", "SESSION_TIMEOUT_S": str(SESSION_S)}
        made = [
            WorkerProcess(
                f"127.0.0.1:{link.port}",
                name,
                folder / f"worker-{number}.log",
                {**described, **told, **settings},
            )
            for number, link in enumerate(links)
        ]
        for worker in made:
            stack.callback(worker.stop)
            worker.tree = tree
            worker.start()
        for worker in made:
            await worker.wait_until_ready()
        load, watch = Load(kafka.bootstrap_servers, seed), Watch()
        await stack.enter_async_context(load.connected())
        consumer = await stack.enter_async_context(reader(kafka.bootstrap_servers, OUTCOMES))
        following = asyncio.create_task(watch.follow(consumer))
        stack.callback(following.cancel)
        yield Place(kafka, links, made, load, watch, random.Random(seed), say)


def prepare(folder: Path) -> None:
    """Models that answer at once, a route, and the shipped topics with fewer parts."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "routes").mkdir(parents=True)
    (folder / "routes" / "chaos.yaml").write_text(ROUTE, "utf-8")
    write_small_ensembles(folder / "models", ["text-classification"])
    shutil.copytree(read_settings().topics_dir, folder / "topics")
    shutil.rmtree(folder / "topics" / "examples" / "routes")
    for topic in (REQUESTS, BULK):
        file = folder / "topics" / f"{topic}.yaml"
        number = f"topic_partitions: {TOPIC_PARTITIONS}"
        file.write_text(re.sub(r"topic_partitions: \d+", number, file.read_text("utf-8")), "utf-8")
