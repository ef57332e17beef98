"""Peers as contenders: processes of their own that answer the same requests."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp
import numpy as np
import orjson

from benchmarks.end_to_end import answers_of
from benchmarks.measure import BenchmarkFailed, Round, timed_here
from benchmarks.peers.environments import ROOT
from benchmarks.peers.programs import Program
from benchmarks.processes import cpu_seconds, descendants
from benchmarks.traffic import Traffic
from benchmarks.worker import last_words
from benchmarks.workload import Workload
from streamproc.kafka.embedded.ports import free_port
from streamproc.types import FloatArray

MLSERVER_MODEL: Final = "sentiment"
MLSERVER_WORKERS: Final = 2
# Enough for two batches of 32 under way and two that fill.
_CALLERS: Final = 128
_START_TIMEOUT_S: Final = 120.0
_STOP_TIMEOUT_S: Final = 30.0


class KafkaPeer:
    """Every request sent as fast as the broker takes it, until the last answer has come back."""

    def __init__(
        self, name: str, workload: Workload, traffic: Traffic, topic: str, pids: Sequence[int]
    ) -> None:
        self.name = name
        self._workload = workload
        self._traffic = traffic
        self._topic = topic
        self._pids = pids

    async def round(self) -> Round:
        texts, traffic = self._workload.texts, self._traffic
        exchange = traffic.exchange()
        before_s = tree_cpu_seconds(self._pids)
        await asyncio.gather(
            traffic.send_all(exchange, self._topic, texts), exchange.complete(len(texts))
        )
        after_s = tree_cpu_seconds(self._pids)
        found = [exchange.responses[number]["result"] for number in range(len(texts))]
        return Round(
            seconds=max(exchange.answered_s.values()) - min(exchange.sent_s.values()),
            cpu_seconds=None if before_s is None or after_s is None else after_s - before_s,
            answers=answers_of(found, self._workload.spec.labels),
        )


class HttpPeer:
    """So many callers at once, each of which asks again as soon as it is answered."""

    def __init__(self, name: str, workload: Workload, address: str, pid: int) -> None:
        self.name = name
        self._workload = workload
        self._address = address
        self._pid = pid

    async def round(self) -> Round:
        before_s = tree_cpu_seconds([self._pid])
        done = await timed_here(self._answer)
        after_s = tree_cpu_seconds([self._pid])
        known = before_s is not None and after_s is not None
        cpu_s = after_s - before_s if known else None  # type: ignore[operator]
        return Round(done.seconds, cpu_s, done.answers)

    async def _answer(self) -> FloatArray:
        # Callers share one iterator: whoever is answered takes the next text.
        left = iter(enumerate(self._workload.texts))
        answers: dict[int, list[float]] = {}
        async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as callers:
            for _ in range(_CALLERS):
                callers.create_task(self._ask(http, left, answers))
        return np.array([answers[number] for number in range(len(answers))])

    async def _ask(
        self,
        http: aiohttp.ClientSession,
        left: Iterable[tuple[int, str]],
        answers: dict[int, list[float]],
    ) -> None:
        for number, text in left:
            answers[number] = await ask_mlserver(http, self._address, text)


async def ask_mlserver(http: aiohttp.ClientSession, address: str, text: str) -> list[float]:
    """The probabilities of a text; raises BenchmarkFailed when it is not answered."""
    asked = {"name": "text", "shape": [1, 1], "datatype": "BYTES", "data": [text]}
    url = f"{address}/v2/models/{MLSERVER_MODEL}/infer"
    async with http.post(url, json={"inputs": [asked]}) as answer:
        said = orjson.loads(await answer.read())
    if answer.status != 200:
        raise BenchmarkFailed(f"MLServer answered {answer.status}: {said}")
    scores: list[float] = said["outputs"][0]["data"]
    return scores


def tree_cpu_seconds(pids: Iterable[int]) -> float | None:
    """User and system time of processes and of all that they have started."""
    every = set(pids).union(*(descendants(pid) for pid in pids))
    known = [each for pid in every if (each := cpu_seconds(pid)) is not None]
    return sum(known) if known else None


@asynccontextmanager
async def running_peer(
    program: Program, python: Path, environment: Mapping[str, str], folder: Path
) -> AsyncIterator[list[int]]:
    """A peer's processes, by id; stopped at the end.

    folder: where their output is written, and where they run
    Raises BenchmarkFailed when one has ended before.
    """
    log = folder / "output.log"
    processes = []
    try:
        with log.open("wb") as sink:
            for _ in range(program.processes):
                process = await asyncio.create_subprocess_exec(
                    str(python),
                    *("-m", *program.command),
                    cwd=folder,
                    env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
                    stdout=sink,
                    stderr=sink,
                )
                processes.append(process)
        yield [process.pid for process in processes]
        if any(process.returncode is not None for process in processes):
            raise BenchmarkFailed(f"{program.name} ended: {last_words(log)}")
    finally:
        await asyncio.gather(*map(_stop, processes))


def write_mlserver_settings(program: Program, folder: Path) -> int:
    """What MLServer reads in its folder; returns the port that it will listen at."""
    port, grpc = free_port(), free_port()
    settings = {
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": grpc,
        "metrics_endpoint": None,
        "parallel_workers": MLSERVER_WORKERS,
        "debug": False,
    }
    model = {
        "name": MLSERVER_MODEL,
        "implementation": "benchmarks.peers.mlserver_runtime.Runtime",
        "max_batch_size": program.batch,
        "max_batch_time": 0.01,
    }
    (folder / "settings.json").write_bytes(orjson.dumps(settings))
    (folder / "model-settings.json").write_bytes(orjson.dumps(model))
    return port


async def answers_http(address: str) -> None:
    """Wait until MLServer is ready; raises BenchmarkFailed when it is not in two minutes."""
    try:
        async with asyncio.timeout(_START_TIMEOUT_S), aiohttp.ClientSession() as http:
            while True:
                try:
                    async with http.get(f"{address}/v2/health/ready") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise BenchmarkFailed("MLServer is not ready") from None


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP_TIMEOUT_S)
    except TimeoutError:
        process.kill()
        await process.wait()
