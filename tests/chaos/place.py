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
from tests.chaos.asked import outcomes_of
from tests.chaos.loads.load import Load
from tests.chaos.sender import Sender
from tests.chaos.watch import Watch
from tests.support.cluster import Cluster, cluster
from tests.support.command import ROOT
from tests.support.tcp_link import Link
from tests.support.topics import commit_ends, create_topic, reader
from tests.support.worker_process import WorkerProcess

TOPIC_PARTITIONS = 4
SESSION_S = 6
"""Of the workers; the shortest that Kafka takes."""
READY_WITHIN_S = 300
"""Ensembles of all tasks take a while to load where a machine is busy."""

Say = Callable[[str], None]


@dataclass
class Place:
    """What a fault is given.

    draw: all that is left to chance, from the run's seed
    """

    kafka: Cluster
    links: list[Link]
    workers: list[WorkerProcess]
    sender: Sender
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
    load: Load,
    settings: Mapping[str, str],
    say: Say,
    tree: Path = ROOT,
) -> AsyncIterator[Place]:
    """Everything started, and all workers ready.

    folder: for logs, which stay; tree: whose code workers run
    """
    described = prepare(folder, load)
    ports = [(free_port(), free_port()) for _ in range(workers)]
    listeners = [
        Listener(f"LINK{number}", behind, "PLAINTEXT", {}, advertised_port=before)
        for number, (before, behind) in enumerate(ports)
    ]
    name = f"chaos-{seed}"
    requests = [source.topic for source in load.sources if source.holds == "requests"]
    async with AsyncExitStack() as stack:
        kafka = await stack.enter_async_context(cluster(described, listeners))
        for source in load.sources:
            if source.topic not in requests:
                await create_topic(kafka.bootstrap_servers, source.topic, TOPIC_PARTITIONS)
        if requests:
            await commit_ends(kafka.bootstrap_servers, name, *requests)
        links = [await stack.enter_async_context(Link(*pair).open()) for pair in ports]
        told = {"THREADS": "1", "SESSION_TIMEOUT_S": str(SESSION_S)}
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
            await worker.wait_until_ready(READY_WITHIN_S)
        sender = Sender(kafka.bootstrap_servers, seed, load)
        await stack.enter_async_context(sender.connected())
        outcomes = outcomes_of(load.sources)
        consumer = await stack.enter_async_context(reader(kafka.bootstrap_servers, outcomes))
        watch = Watch(consumer)
        following = asyncio.create_task(watch.follow())
        stack.callback(following.cancel)
        yield Place(kafka, links, made, sender, watch, random.Random(seed), say)


def prepare(folder: Path, load: Load) -> dict[str, str]:
    """What the load needs, and the shipped topics with fewer parts; the settings that say so."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    topics = folder / "topics"
    shutil.copytree(read_settings().topics_dir, topics)
    shutil.rmtree(topics / "examples" / "routes")
    for source in load.sources:
        file = topics / f"{source.topic}.yaml"
        if file.exists():
            number, text = f"topic_partitions: {TOPIC_PARTITIONS}", file.read_text("utf-8")
            file.write_text(re.sub(r"topic_partitions: \d+", number, text), "utf-8")
    return {"TOPICS_DIR": str(topics), **load.prepare(folder)}
