"""More load than a worker can bear: what it holds, what it answers, and how soon it is over it.

`python -m tests.acceptance.overload --seconds 300 --times 10 --plot overload.png` first finds out
how many short requests a second the worker answers, and then sends so many times that many on the
bulk lane: past their deadline, with a deadline of seconds, without one, and some of a mebibyte.
Interactive requests come steadily beside it, before and after. Exits with 1 where something was
lost, memory grew, interactive requests took longer than the objective, or a request past its
deadline cost a model anything.
"""

from __future__ import annotations

import asyncio
import re
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import psutil
import typer
from aiokafka import AIOKafkaProducer

from tests.support.cluster import Cluster, cluster, group
from tests.support.overload_report import Latency, Look, by_phase, draw, memory_growth_mib
from tests.support.report import say, tell
from tests.support.texts import short_texts
from tests.support.topics import (
    BULK,
    REQUESTS,
    RESPONSES,
    Offsets,
    each_record,
    end_offsets,
    producing,
)
from tests.support.worker_process import WorkerProcess

SLICES_A_SECOND: Final = 10
INTERACTIVE_A_SECOND: Final = 5
BESIDE_S: Final = 8.0
"""Seconds that interactive requests come alone, before the load and after it."""
LARGE_BYTES: Final = 1_000_000
LARGE_EVERY_S: Final = 5.0
"""Seconds between two large requests."""
LARGE_WHENEVER: Final = 12
"""One of so many of them has no deadline."""
DEADLINE_MS: Final = 2_000
PAST_MS: Final = 60_000
MOST_GROWTH_MIB: Final = 24.0
CANARIES: Final = 20
"""Chunks that canaries may have come to meanwhile."""

# Of twenty requests of the load: no deadline, one that may be met, and one that is past already.
KINDS: Final = ("whenever", *("soon",) * 7, *("past",) * 12)


class Load:
    """Requests that go out whatever comes back (an open loop), and what was sent."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer
        self._texts = short_texts(6_400)
        self._large = " ".join(self._texts)[:LARGE_BYTES]
        self.sent: Counter[str] = Counter()

    async def send(self, kind: str, topic: str = BULK) -> None:
        """One request, whose id says of which kind it is; waits while the producer is full."""
        number = self.sent[kind]
        self.sent[kind] += 1
        name = f"{kind}-{number}"
        body: dict[str, Any] = {"id": name, "text": self._texts[number % len(self._texts)]}
        now_ms = time.time_ns() // 1_000_000
        if kind.startswith("large"):
            body["text"] = self._large
        if kind in {"soon", "past", "large"}:
            body["deadline_ms"] = DEADLINE_MS
        if kind == "past":
            now_ms -= PAST_MS
        await self._producer.send(topic, orjson.dumps(body), key=name.encode(), timestamp_ms=now_ms)

    async def steadily(self, a_second: float, seconds: float, kinds: Iterator[str]) -> None:
        """So many a second, for so long."""
        began_s, done = time.monotonic(), 0
        while (passed_s := time.monotonic() - began_s) < seconds:
            due = round(min(passed_s + 1 / SLICES_A_SECOND, seconds) * a_second)
            for _ in range(due - done):
                await self.send(next(kinds))
            done = due
            await asyncio.sleep(1 / SLICES_A_SECOND)

    async def large(self, seconds: float) -> None:
        """Texts of a mebibyte."""
        began_s, number = time.monotonic(), 0
        while time.monotonic() - began_s < seconds:
            await self.send("large-whenever" if number % LARGE_WHENEVER == 0 else "large")
            number += 1
            await asyncio.sleep(LARGE_EVERY_S)

    async def interactive(self, stop: asyncio.Event) -> None:
        """A few a second on the interactive lane, until told to stop."""
        while not stop.is_set():
            await self.send("interactive", REQUESTS)
            await asyncio.sleep(1 / INTERACTIVE_A_SECOND)


class Watch:
    """What the worker holds, twice a second."""

    def __init__(
        self, bootstrap_servers: str, worker: WorkerProcess, load: Load, start: Offsets
    ) -> None:
        """start: of the topic of responses"""
        self._bootstrap_servers = bootstrap_servers
        self._worker = worker
        self._load = load
        self._start = start
        self.load_began_s = time.monotonic()
        self.looks: list[Look] = []

    async def run(self) -> None:
        """Until cancelled."""
        process = psutil.Process(self._worker.pid)
        while True:
            memory_mib = process.memory_info().rss / (1 << 20)
            second = time.monotonic() - self.load_began_s
            self.looks.append(Look(second, memory_mib, await self.waiting()))
            await asyncio.sleep(0.5)

    async def waiting(self) -> int:
        """Requests without a response: committed offsets would stand still behind a large one."""
        ends = await end_offsets(self._bootstrap_servers, RESPONSES)
        answered = sum(end - self._start.get(tp, 0) for tp, end in ends.items())
        return self._load.sent.total() - answered

    async def until_nothing_waits(self, quiet_s: float = 120, at_most: int = 0) -> None:
        """at_most: or no more than so many

        Raises TimeoutError when the worker has ended, or nothing was answered for so long, and no
        chunk of a text of a mebibyte was given to a model either.
        """
        least, ran, moved_s = 1 << 60, 0, time.monotonic()
        while (waiting := await self.waiting()) > at_most:
            has_ended = self._worker.exit_code is not None
            chunks = 0 if has_ended else await asyncio.to_thread(_chunks, self._worker)
            if waiting < least or chunks > ran + CANARIES:
                least, ran, moved_s = waiting, chunks, time.monotonic()
            if has_ended or time.monotonic() - moved_s > quiet_s:
                raise TimeoutError(
                    f"{waiting} requests are left, and none is finished: exit code "
                    f"{self._worker.exit_code}, {self._worker.last_words()}"
                )
            await asyncio.sleep(0.5)


async def run_overload(
    kafka: Cluster, seconds: float, times: float, capacity: float | None = None
) -> tuple[dict[str, Any], list[Look], list[Latency]]:
    """All of it with one worker: the figures, and what they come of.

    capacity: short requests a second; None: it is found out
    """
    servers = kafka.bootstrap_servers
    answers_from = await end_offsets(servers, RESPONSES)
    async with (
        group(servers, "overload", kafka.folder) as workers,
        producing(servers) as producer,
    ):
        worker, load = workers.workers[0], Load(producer)
        watch = Watch(servers, worker, load, answers_from)
        capacity = capacity or await _capacity(load, watch)
        say(f"{capacity:.0f} short requests a second; sending {times:g} times as many")
        chunks = await _chunks_of_past_deadlines(load, watch, worker)
        stop, began_ms = asyncio.Event(), time.time_ns() // 1_000_000
        watch.load_began_s = time.monotonic() + BESIDE_S
        watching = asyncio.create_task(watch.run())
        asking = asyncio.create_task(load.interactive(stop))
        try:
            await asyncio.sleep(BESIDE_S)
            kinds = _kinds()
            await asyncio.gather(
                load.steadily(times * capacity, seconds, kinds), load.large(seconds)
            )
            ended_s = time.monotonic()
            load_s = ended_s - watch.load_began_s
            say(f"sent {load.sent.total()} in {load_s:.0f} s; waiting for the rest")
            await watch.until_nothing_waits(at_most=INTERACTIVE_A_SECOND)
            recovered_s = time.monotonic() - ended_s
            await asyncio.sleep(BESIDE_S)
            stop.set()
            await asking
            await watch.until_nothing_waits()
        finally:
            watching.cancel()
            asking.cancel()
        is_ready = await worker.is_ready()
        peak_mib = worker.peak_rss_mib()
    ends, latencies = await _answers(servers, answers_from, began_ms + round(BESIDE_S * 1000))
    before_mib = max((one.memory_mib for one in watch.looks if one.second < 0), default=0.0)
    lost = {kind: n - sum(ends[kind].values()) for kind, n in load.sent.items()}
    figures = {
        "capacity_a_second": round(capacity),
        "sent": dict(load.sent),
        "load_s": round(load_s),
        "sent_a_second": round(load.sent.total() / load_s),
        "lost": {kind: count for kind, count in lost.items() if count > 0},
        "twice": {kind: -count for kind, count in lost.items() if count < 0},
        "ended": {kind: dict(found) for kind, found in sorted(ends.items())},
        "chunks_of_past_deadlines": chunks,
        "memory_before_mib": round(before_mib),
        "memory_peak_mib": round(peak_mib),
        "memory_growth_mib": round(memory_growth_mib(watch.looks, load_s)),
        **by_phase(latencies, load_s),
        "most_waiting": max(one.waiting for one in watch.looks),
        "recovered_after_s": round(recovered_s, 1),
        "ready": is_ready,
    }
    return figures, watch.looks, latencies


def faults_of(figures: dict[str, Any], objective_ms: int) -> list[str]:
    """What is not as it should be, a clause each."""
    ended: dict[str, dict[str, int]] = figures["ended"]
    during = figures["interactive during"]
    wrong = [
        f"{kind}: {count} ended as {end}"
        for kind, found in ended.items()
        for end, count in found.items()
        if end not in _MAY_END[kind]
    ]
    return [
        *(f"{count} of {kind} lost" for kind, count in figures["lost"].items()),
        *wrong,
        *["past deadlines cost a model work"] * (figures["chunks_of_past_deadlines"] > CANARIES),
        *[f"memory grew by {figures['memory_growth_mib']} MiB"]
        * (figures["memory_growth_mib"] > MOST_GROWTH_MIB),
        *[f"interactive requests took {during['p99_ms']} ms (p99)"]
        * (during["p99_ms"] > objective_ms),
        *["the worker is not ready"] * (not figures["ready"]),
    ]


_MAY_END: Final = {
    "whenever": {"ok"},
    "interactive": {"ok"},
    "large-whenever": {"ok"},
    "soon": {"ok", "deadline"},
    "large": {"ok", "deadline"},
    "past": {"deadline"},
}


def _kinds() -> Iterator[str]:
    while True:
        yield from KINDS


async def _capacity(load: Load, watch: Watch, count: int = 3_000) -> float:
    """Short requests that the worker answers a second, from the first half of a pile on."""
    for _ in range(count):
        await load.send("whenever")
    while await watch.waiting() > count * 3 // 4:  # noqa: ASYNC110 - Kafka's state
        await asyncio.sleep(0.05)
    began_s, left = time.monotonic(), await watch.waiting()
    await watch.until_nothing_waits()
    return left / (time.monotonic() - began_s)


async def _chunks_of_past_deadlines(load: Load, watch: Watch, worker: WorkerProcess) -> int:
    """Chunks that models were given while nothing but requests past their deadline came."""
    before = await asyncio.to_thread(_chunks, worker)
    for _ in range(1_000):
        await load.send("past")
    await watch.until_nothing_waits()
    return await asyncio.to_thread(_chunks, worker) - before


def _chunks(worker: WorkerProcess) -> int:
    address = worker.metrics_address()
    with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310 - our own
        text = answer.read().decode()
    found = re.findall(r"^streamproc_chunks_total\{[^}]*\} ([0-9.e+]+)$", text, re.MULTILINE)
    return round(sum(map(float, found)))


async def _answers(
    bootstrap_servers: str, start: Offsets, load_began_ms: int
) -> tuple[dict[str, Counter[str]], list[Latency]]:
    """How requests of each kind ended, and how long the interactive ones took.

    Read as a stream: there may be more of them than memory has room for.
    """
    ends: dict[str, Counter[str]] = {}
    latencies: list[Latency] = []
    async for record in each_record(bootstrap_servers, [RESPONSES], start):
        body = record.body
        kind = body["id"].rpartition("-")[0]
        end = body["error"]["type"] if body["status"] == "error" else body["status"]
        ends.setdefault(kind, Counter())[end] += 1
        if kind == "interactive":
            timing = body["timing"]
            ms = round(timing["age_ms"] + timing["total_ms"])
            asked_ms = record.timestamp_ms - ms
            latencies.append(Latency((asked_ms - load_began_ms) / 1000, ms))
    return ends, latencies


def main(
    seconds: Annotated[float, typer.Option(min=1, help="how long")] = 300,
    times: Annotated[float, typer.Option(min=1, help="of what the worker answers")] = 10,
    objective_ms: Annotated[int, typer.Option(help="interactive p99 at most")] = 1_000,
    capacity: Annotated[float | None, typer.Option(help="short requests a second")] = None,
    plot: Annotated[Path | None, typer.Option(help="picture to draw")] = None,
) -> None:
    """Send more than a worker can bear; exit with 1 when it does not bear up."""

    async def run() -> tuple[dict[str, Any], list[Look], list[Latency]]:
        async with cluster() as kafka:
            return await run_overload(kafka, seconds, times, capacity)

    figures, looks, latencies = asyncio.run(run())
    if plot is not None:
        plot.parent.mkdir(parents=True, exist_ok=True)
        draw(looks, latencies, figures["load_s"], plot)
    faults = faults_of(figures, objective_ms)
    tell(f"{times:g} times the load for {seconds:g} s", {**figures, "faults": faults}, not faults)


if __name__ == "__main__":
    typer.run(main)
