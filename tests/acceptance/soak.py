"""Let workers work for long, and see that nothing they hold grows.

`python -m tests.acceptance.soak --hours 1 --rate 10 --plot soak.png` sends requests of every task
that has an ensemble at a steady rate, hostile ones among them, and looks every few seconds at the
memory, handles and threads of each worker and at how many requests wait. Exits with 1 where one of
them was still growing in the last third of the run, or where a request was lost.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import orjson
import psutil
import typer
from aiokafka import AIOKafkaProducer

from tests.chaos.asked import Asked, Told, Window, outcomes_of, sources_of
from tests.chaos.verifier import Verdict, judge
from tests.support.cluster import Group, cluster, group
from tests.support.good_requests import mixed_requests
from tests.support.hostile_records import hostile_records
from tests.support.report import say, tell
from tests.support.served import Served, served
from tests.support.soak_report import Sample, draw, growth, table
from tests.support.task_topics import topics_of
from tests.support.topics import (
    Position,
    Sent,
    committed,
    end_offsets,
    producing,
    read_all,
    send_all,
    wait_until_committed,
)

HOSTILE_EVERY = 20
"""One hostile record for so many good ones."""
MUST_BE_NONE = ("lost", "wrong", "twice", "misplaced")
AT_ONCE_S = 0.5
"""Seconds between two sendings."""


async def soak(
    of: Served, seconds: float, rate: float, workers: int, seed: int
) -> tuple[dict[str, Any], list[Sample]]:
    """All of it, on a Kafka of its own: the figures, and what they come of."""
    count = int(seconds * rate)
    good = [one.record for one in mixed_requests(of.tasks, count, f"soak-{seed}")]
    records = _with_hostile(good, of.tasks, seed)
    async with (
        cluster() as kafka,
        group(
            kafka.bootstrap_servers,
            f"soak-{seed}",
            kafka.folder,
            workers=workers,
            tasks=of.tasks,
            settings={"THREADS": "1", "CACHE_BYTES": "16MiB", **of.settings},
            ready_within_s=300,
        ) as group_of_workers,
        producing(kafka.bootstrap_servers) as producer,
    ):
        sending = Sending(producer, records, seconds)
        sampling = asyncio.create_task(
            sample(kafka.bootstrap_servers, group_of_workers, sending, seconds)
        )
        positions = await sending.run()
        samples = await sampling
        say(f"all {len(records)} sent; waiting for the rest")
        own = group_of_workers.workers[0].group
        await wait_until_committed(kafka.bootstrap_servers, own, positions, quiet_s=120)
        ended = [worker.exit_code for worker in group_of_workers.workers]
        verdict = await _verdict(kafka.bootstrap_servers, of.tasks, good, records, positions)
    grown = growth(samples)
    faults = [fault for one in grown for fault in one.faults(rate)]
    faults += [f"a worker ended: {code}" for code in ended if code is not None]
    counts = asdict(verdict.rows[0])
    faults += [f"{counts[what]} {what}" for what in MUST_BE_NONE if counts[what]]
    figures = {
        "sent": len(records),
        "answered": verdict.answered,
        "lost": counts["lost"],
        "faults": faults,
        "growth": table(grown),
    }
    return figures, samples


class Sending:
    """Records that go out at a steady pace, whatever comes back (an open loop)."""

    def __init__(self, producer: AIOKafkaProducer, records: Sequence[Sent], seconds: float) -> None:
        self._producer = producer
        self._records = records
        self._seconds = seconds
        self.began_s = time.monotonic()
        self.positions: list[Position] = []

    async def run(self) -> list[Position]:
        """Send all of them; where each lies."""
        while len(self.positions) < len(self._records):
            share = min(1.0, (time.monotonic() - self.began_s + AT_ONCE_S) / self._seconds)
            due = self._records[len(self.positions) : round(share * len(self._records))]
            self.positions += await send_all(self._producer, due)
            await asyncio.sleep(AT_ONCE_S)
        return self.positions


async def sample(
    bootstrap_servers: str, workers: Group, sending: Sending, seconds: float
) -> list[Sample]:
    """What each worker holds, some 200 times in the run."""
    found: list[Sample] = []
    processes = [psutil.Process(worker.pid) for worker in workers.workers]
    told_s = 0.0
    while (second := time.monotonic() - sending.began_s) < seconds:
        behind = await _behind(bootstrap_servers, workers)
        for number, process in enumerate(processes):
            with process.oneshot():
                memory = process.memory_info().rss / (1 << 20)
                handles, threads = process.num_fds(), process.num_threads()
            found.append(Sample(number, second, memory, handles, threads, behind))
        if second - told_s > seconds / 20:
            told_s = second
            held = ", ".join(f"{one.memory_mib:.0f} MiB" for one in found[-len(processes) :])
            say(f"{second / 60:.1f} min: {held}; {behind} requests behind")
        await asyncio.sleep(max(1.0, seconds / 200))
    return found


async def _behind(bootstrap_servers: str, workers: Group) -> int:
    """Records of the topics of requests that the group has not committed."""
    stored = await committed(bootstrap_servers, workers.workers[0].group)
    ends = await end_offsets(bootstrap_servers, *{tp.topic for tp in workers.start})
    return sum(end - stored.get(tp, workers.start.get(tp, 0)) for tp, end in ends.items())


def _with_hostile(good: Sequence[Sent], tasks: Sequence[str], seed: int) -> list[Sent]:
    """The good ones in their order, a hostile record at a random place in each stretch of them."""
    drawn = random.Random(seed)
    hostile = iter(hostile_records(len(good) // HOSTILE_EVERY, seed, tasks))
    mixed: list[Sent] = []
    for first in range(0, len(good), HOSTILE_EVERY):
        stretch = list(good[first : first + HOSTILE_EVERY])
        found = next(hostile, None)
        if found is not None:
            task, record = found
            place = drawn.randrange(len(stretch) + 1)
            sent = Sent(record.value, topics_of(task).requests, record.headers, record.key)
            stretch.insert(place, sent)
        mixed += stretch
    return mixed


async def _verdict(
    bootstrap_servers: str,
    tasks: Sequence[str],
    good: Sequence[Sent],
    records: Sequence[Sent],
    positions: Sequence[Position],
) -> Verdict:
    """What became of the good ones: hostile records end as they should in another test."""
    of_good = set(good)
    asked = [
        Asked(key := (record.key or b"").decode(), key, *position)
        for record, position in zip(records, positions, strict=True)
        if record in of_good
    ]
    places = {(one.topic, one.partition, one.offset) for one in asked}
    told = Told(sources_of(tasks), [Window("soak", 0, {})], asked)
    stored = await read_all(bootstrap_servers, outcomes_of(told.sources))
    return judge(told, [record for record in stored if record.origin in places])


def main(
    hours: Annotated[float, typer.Option(min=0.01, help="how long")] = 1.0,
    rate: Annotated[float, typer.Option(min=0.1, help="good requests a second")] = 10.0,
    workers: Annotated[int, typer.Option(min=1)] = 2,
    seed: int = 1,
    tasks: str = "",
    models_dir: Path | None = None,
    small: bool = False,
    plot: Annotated[Path | None, typer.Option(help="picture to draw")] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file for all figures")] = None,
) -> None:
    """Let workers work for long; exit with 1 when something grows, or was lost."""
    with served(tasks, models_dir, small=small) as of:
        say(f"{', '.join(of.tasks)} from {of.models_dir}")
        figures, samples = asyncio.run(soak(of, hours * 3600, rate, workers, seed))
    for file in filter(None, (plot, out)):
        file.parent.mkdir(parents=True, exist_ok=True)
    if plot is not None:
        draw(samples, plot)
    if out is not None:
        whole = {**figures, "samples": [asdict(one) for one in samples]}
        out.write_bytes(orjson.dumps(whole, option=orjson.OPT_INDENT_2) + b"\n")
    tell(f"{hours:g} h at {rate:g} requests a second", figures, not figures["faults"])


if __name__ == "__main__":
    typer.run(main)
