"""A Kafka of our own with the topics applied, and workers that end with the block."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from streamproc.kafka.embedded import EmbeddedBroker
from streamproc.kafka.embedded.config import Listener
from streamproc.settings import read_settings
from tests.support.command import streamproc
from tests.support.task_topics import request_topics
from tests.support.topics import TEXT_CLASSIFICATION, Offsets, commit_ends
from tests.support.worker_process import WorkerProcess


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Kafka, and a folder for logs and files that is gone afterwards."""

    broker: EmbeddedBroker
    folder: Path

    @property
    def bootstrap_servers(self) -> str:
        """host:port for clients."""
        return self.broker.bootstrap_servers


@asynccontextmanager
async def cluster(
    settings: Mapping[str, str] | None = None, more_listeners: Sequence[Listener] = ()
) -> AsyncIterator[Cluster]:
    """An embedded Kafka with the topics applied under `settings`."""
    with tempfile.TemporaryDirectory(prefix="streamproc-acceptance-") as folder:
        # A folder of its own, so that data outlasts a stop.
        data = Path(folder) / "kafka"
        broker = EmbeddedBroker(
            data, cache_dir=read_settings().cache_dir, more_listeners=more_listeners
        )
        await asyncio.to_thread(broker.start)
        try:
            apply_topics(broker.bootstrap_servers, settings)
            yield Cluster(broker, Path(folder))
        finally:
            await asyncio.to_thread(broker.stop)


def apply_topics(bootstrap_servers: str, settings: Mapping[str, str] | None = None) -> None:
    """`streamproc topics apply`."""
    settings = {"KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers, **(settings or {})}
    applied = streamproc("topics", "apply", settings=settings)
    assert applied.returncode == 0, applied.stderr


@dataclass(frozen=True, slots=True)
class Group:
    """Workers of one group, and where its requests begin."""

    workers: list[WorkerProcess]
    start: Offsets


@asynccontextmanager
async def group(
    bootstrap_servers: str,
    name: str,
    folder: Path,
    *,
    workers: int = 1,
    tasks: Sequence[str] = (TEXT_CLASSIFICATION,),
    settings: Mapping[str, str] | None = None,
    ready_within_s: float = 60,
) -> AsyncIterator[Group]:
    """Ready workers of a new group that takes what is sent from now on; killed afterwards."""
    start = await commit_ends(bootstrap_servers, name, *request_topics(tasks))
    settings = {"TASKS": ",".join(tasks), **(settings or {})}
    made = [
        WorkerProcess(bootstrap_servers, name, folder / f"{name}-{number}.log", settings)
        for number in range(workers)
    ]
    try:
        for worker in made:
            worker.start()
        for worker in made:
            await worker.wait_until_ready(ready_within_s)
        yield Group(made, start)
    finally:
        for worker in made:
            worker.stop()
