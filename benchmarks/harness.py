"""An embedded Kafka with topics, a worker that is ready, and traffic with it."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import BenchmarkFailed
from benchmarks.processes import descendants
from benchmarks.traffic import RESPONSES_TOPIC, Traffic, open_traffic
from benchmarks.worker import Worker, environment, running_worker
from streamproc.enrichment.catalogue import RouteTopic
from streamproc.kafka.embedded import EmbeddedBroker
from streamproc.kafka.topic_admin import TopicAdmin
from streamproc.settings import read_settings


@dataclass(frozen=True, slots=True)
class Stage:
    """broker_pids: the embedded Kafka's processes, as far as the system tells them."""

    worker: Worker
    traffic: Traffic
    broker_pids: frozenset[int]
    bootstrap_servers: str


@asynccontextmanager
async def set_up(
    settings: Mapping[str, str],
    say: Callable[[str], None],
    *,
    sources: Sequence[RouteTopic] = (),
    answers: Sequence[str] = (RESPONSES_TOPIC,),
) -> AsyncIterator[Stage]:
    """Everything that is between a request and its answer; taken down at the end.

    settings: the worker's, by lower-case name
    sources:  topics that routes read; answers: topics that answers come by
    Raises EmbeddedBrokerError when Kafka can't start, BenchmarkFailed when the worker can't.
    """
    with tempfile.TemporaryDirectory(prefix="streamproc-bench-") as folder:
        broker = EmbeddedBroker()
        before = descendants(os.getpid())
        say("starting an embedded Kafka")
        try:
            await asyncio.to_thread(broker.start)
            broker_pids = frozenset(descendants(os.getpid()) - before)
            reached = {**settings, "kafka_bootstrap_servers": broker.bootstrap_servers}
            await apply_topics(reached)
            async with TopicAdmin(read_settings(**reached)) as admin:
                await admin.create_missing(sources)
            say("starting a worker")
            async with (
                running_worker(reached, Path(folder)) as worker,
                open_traffic(broker.bootstrap_servers, answers) as traffic,
            ):
                yield Stage(worker, traffic, broker_pids, broker.bootstrap_servers)
        finally:
            await asyncio.to_thread(broker.stop)


async def apply_topics(settings: Mapping[str, str]) -> None:
    """Make the topics described; raises BenchmarkFailed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "streamproc", "topics", "apply"),
        env=environment(settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    if process.returncode != 0:
        raise BenchmarkFailed(f"the topics can't be made: {said.decode('utf-8', 'replace')}")
