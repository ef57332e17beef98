"""What it costs a worker to say how it does: two workers beside each other, one of which does.

Both answer the same requests at the same time, each for a group of its own, so that what else the
machine does meets both.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import orjson

from benchmarks.texts import read_texts, requested
from benchmarks.worker import Worker, running_worker
from streamproc.clock import SystemClock
from streamproc.kafka.embedded import EmbeddedBroker
from streamproc.kafka.producer import Producer
from streamproc.kafka.topic_admin import TopicAdmin
from streamproc.kafka.topics import load_topics
from streamproc.messages.lane import Lane
from streamproc.messages.record import ProducerRecord
from streamproc.settings import Settings

WITH, WITHOUT = "with states", "without"


async def measure(seconds: float, requests: int) -> None:
    """Print CPU seconds of both workers, idle and then with requests."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedBroker() as broker:
        settings = Settings(kafka_bootstrap_servers=broker.bootstrap_servers)
        async with TopicAdmin(settings) as admin:
            await admin.create_missing(load_topics(settings.topics_dir).topics.values())
        async with AsyncExitStack() as running:
            workers = {}
            for name, interval in ((WITH, "2"), (WITHOUT, "0")):
                own = Path(folder) / interval
                own.mkdir()
                asked = {
                    "kafka_bootstrap_servers": broker.bootstrap_servers,
                    "group_id": f"cost-{interval}",
                    "state_interval_s": interval,
                }
                workers[name] = await running.enter_async_context(running_worker(asked, own))
            await _shown("idle", workers, asyncio.sleep(seconds), seconds)
            await _shown("busy", workers, _asked(settings, requests, seconds), seconds)


async def _shown(name: str, workers: dict[str, Worker], work: object, seconds: float) -> None:
    before = {of: worker.cpu_seconds() or 0.0 for of, worker in workers.items()}
    await work  # type: ignore[misc]
    used = {of: (worker.cpu_seconds() or 0.0) - before[of] for of, worker in workers.items()}
    extra = (used[WITH] - used[WITHOUT]) / seconds
    print(
        f"{name}: {used[WITH]:.2f} s with states, {used[WITHOUT]:.2f} s without, in {seconds:g} s: "
        f"{extra:+.2%} of a core"
    )


async def _asked(settings: Settings, requests: int, seconds: float) -> None:
    topic = load_topics(settings.topics_dir).request_topic("text-classification", Lane.INTERACTIVE)
    producer = Producer(settings, SystemClock())
    await producer.start()
    began = asyncio.get_running_loop().time()
    for number, text in enumerate(requested(read_texts(None), requests)):
        value = orjson.dumps({"id": str(number), "text": text})
        await producer.send(ProducerRecord(topic.name, str(number).encode(), value))
    await producer.stop()
    await asyncio.sleep(max(0.0, began + seconds - asyncio.get_running_loop().time()))


def main() -> None:
    """Measure as the flags say."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=60.0)
    options.add_argument("--requests", type=int, default=300)
    given = options.parse_args()
    asyncio.run(measure(given.seconds, given.requests))


if __name__ == "__main__":
    main()
