"""What exactly once costs: producers at an assignment, transactions beside at least once.

Requests without work go through one worker after another, each for a group of its own, in turns.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final
from uuid import uuid4

import psutil
from aiokafka.errors import KafkaError

from streamproc.clock import SystemClock
from streamproc.enrichment.catalogue import RouteTopic
from streamproc.kafka.dispatcher import Subscription
from streamproc.kafka.embedded import EmbeddedBroker
from streamproc.kafka.ledger import read_positions
from streamproc.kafka.outbox import Outbox
from streamproc.kafka.producer import Producer
from streamproc.kafka.topic_admin import TopicAdmin
from streamproc.kafka.transactional_producer import KafkaTransactions
from streamproc.kafka.worker import KafkaWorker
from streamproc.messages.lane import Lane
from streamproc.messages.record import ProducerRecord, Record, TopicPartition
from streamproc.settings import Settings

CLOCK: Final = SystemClock()
LARGEST_BYTES: Final = 1 << 21
ANSWERS: Final = "bench.answers"
ANSWER_PARTITIONS: Final = 12
DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Run:
    """seconds: from the first request that a worker takes until all are committed"""

    seconds: float
    cpu_seconds: float


async def measure(topic_partitions: Sequence[int], requests: int, rounds: int) -> None:
    """Print a table of each."""
    with EmbeddedBroker() as broker:
        settings = Settings(kafka_bootstrap_servers=broker.bootstrap_servers)
        topics = {count: f"bench.requests-{count}" for count in topic_partitions}
        async with TopicAdmin(settings) as admin:
            await admin.create_missing(
                [RouteTopic(name, count, DAY_MS) for count, name in topics.items()]
                + [RouteTopic(ANSWERS, ANSWER_PARTITIONS, DAY_MS)]
            )
        for count, name in topics.items():
            await _connecting(settings, name, count)
        for count, name in topics.items():
            await _fill(settings, name, requests)
            await _beside(settings, name, count, requests, rounds)


async def _connecting(settings: Settings, topic: str, count: int) -> None:
    """What it takes to have a producer for each topic-partition."""
    process = psutil.Process()
    gc.collect()
    before_bytes, before = process.memory_info().rss, len(process.net_connections())
    began_s, cpu_s = time.monotonic(), time.process_time()
    made = await asyncio.gather(
        *(
            KafkaTransactions.connect(settings, TopicPartition(topic, number), LARGEST_BYTES, CLOCK)
            for number in range(count)
        )
    )
    took_s, used_s = time.monotonic() - began_s, time.process_time() - cpu_s
    added_kib = (process.memory_info().rss - before_bytes) / 1024
    connections = len(process.net_connections()) - before
    print(
        f"{count} producers: {took_s:.2f} s, {used_s:.2f} s of CPU, {added_kib / count:.0f} KiB "
        f"and {connections / count:.1f} connections each"
    )
    for one in made:
        await one.close()


async def _beside(settings: Settings, topic: str, count: int, requests: int, rounds: int) -> None:
    ways = {"at_least_once": settings} | {
        f"exactly_once, {interval_ms} ms": settings.model_copy(
            update={"delivery": "exactly_once", "transaction_interval_ms": interval_ms}
        )
        for interval_ms in (50, 100, 200)
    }
    runs: dict[str, list[Run]] = {name: [] for name in ways}
    for turn in range(rounds):
        for name in sorted(ways, reverse=bool(turn % 2)):
            runs[name].append(await _run(ways[name], topic, count, requests))
    base = runs["at_least_once"]
    for name, found in runs.items():
        speed = median(one.seconds / other.seconds for one, other in zip(base, found, strict=True))
        cpu = median(
            other.cpu_seconds / one.cpu_seconds for one, other in zip(base, found, strict=True)
        )
        rate = requests / median(one.seconds for one in found)
        print(f"{count} topic-partitions, {name}: {rate:.0f}/s, {speed:.2f} of it; CPU {cpu:.2f}")


async def _run(settings: Settings, topic: str, count: int, requests: int) -> Run:
    settings = settings.model_copy(update={"group_id": f"bench-{uuid4().hex[:8]}"})
    producer = Producer(settings, CLOCK)
    outbox = Outbox(producer, CLOCK) if settings.delivery == "exactly_once" else None
    send = producer.send if outbox is None else outbox.send
    began: list[tuple[float, float]] = []

    async def answer(record: Record) -> None:
        if not began:
            began.append((time.monotonic(), time.process_time()))
        await send(ProducerRecord(ANSWERS, record.key, record.value))

    worker = KafkaWorker(
        settings,
        [Subscription(topic, Lane.BULK, answer)],
        clock=CLOCK,
        producer=producer,
        outbox=outbox,
    )
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    places = [TopicPartition(topic, number) for number in range(count)]
    while await _committed(settings, places) < requests:
        if running.done():
            running.result()
        await asyncio.sleep(0.05)
    run = Run(time.monotonic() - began[0][0], time.process_time() - began[0][1])
    stop.set()
    await running
    return run


async def _committed(settings: Settings, places: Sequence[TopicPartition]) -> int:
    try:
        found = await read_positions(settings, places)
    except KafkaError:  # the group's coordinator is only being made
        return 0
    return sum(at.offset for at in found.values() if at)


async def _fill(settings: Settings, topic: str, requests: int) -> None:
    producer = Producer(settings, CLOCK)
    await producer.start()
    await asyncio.gather(
        *(
            producer.send(ProducerRecord(topic, b"%d" % number, b"x" * 200))
            for number in range(requests)
        )
    )
    await producer.stop()


def main() -> None:
    """Measure as the flags say."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--topic-partitions", type=int, nargs="+", default=[4, 20, 100])
    options.add_argument("--requests", type=int, default=10_000)
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    asyncio.run(measure(given.topic_partitions, given.requests, given.rounds))


if __name__ == "__main__":
    main()
