"""A real worker, as a process of its own, and what it tells about itself."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp
import orjson

from benchmarks.measure import BenchmarkFailed
from benchmarks.processes import cpu_seconds
from benchmarks.worker_counters import Counters, read_counters
from streamproc.settings.reading import PREFIX

START_TIMEOUT_S: Final = 120.0
STOP_TIMEOUT_S: Final = 60.0
_POLL_S: Final = 0.1


class Worker:
    """A worker that runs and is ready; address: where it serves health and metrics."""

    def __init__(self, pid: int, address: str, log: Path, http: aiohttp.ClientSession) -> None:
        self.pid = pid
        self.log = log
        self.address = address
        self._http = http

    def cpu_seconds(self) -> float | None:
        """User and system time since its start."""
        return cpu_seconds(self.pid)

    async def counters(self) -> Counters:
        """What its `/metrics` says now."""
        async with self._http.get(f"{self.address}/metrics") as answer:
            return read_counters(await answer.text())


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment, with streamproc's settings of these (lower-case) names."""
    return {**os.environ, **{PREFIX + name.upper(): value for name, value in settings.items()}}


@asynccontextmanager
async def running_worker(settings: Mapping[str, str], folder: Path) -> AsyncIterator[Worker]:
    """A worker with these settings, ready; stopped with SIGTERM at the end.

    folder: where its log is written
    Raises BenchmarkFailed when it ends, or is not ready after two minutes.
    """
    log = folder / "worker.log"
    asked = {**settings, "web_host": "127.0.0.1", "web_port": "0"}
    asked |= {"log_format": "json", "log_level": "info"}
    with log.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "streamproc", "worker"),
            env=environment(asked),
            stdout=sink,
            stderr=sink,
        )
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http:
            try:
                async with asyncio.timeout(START_TIMEOUT_S):
                    address = await _ready(process, log, http)
            except TimeoutError:
                raise BenchmarkFailed(f"the worker is not ready: {last_words(log)}") from None
            yield Worker(process.pid, address, log, http)
    finally:
        await _stop(process)


def health_address(log: Path) -> str | None:
    """Where a worker serves, as its log says once it listens; None before."""
    for line in log.read_text("utf-8", "replace").splitlines():
        if '"worker started"' in line:
            health: str = orjson.loads(line)["health"]
            return health.removesuffix("/v2/health/ready")
    return None


def last_words(log: Path, lines: int = 5) -> str:
    """The end of a log."""
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-lines:])


async def _ready(
    process: asyncio.subprocess.Process, log: Path, http: aiohttp.ClientSession
) -> str:
    address = None
    while True:
        if process.returncode is not None:
            raise BenchmarkFailed(f"the worker ended ({process.returncode}): {last_words(log)}")
        address = address or health_address(log)
        if address is not None:
            async with http.get(f"{address}/v2/health/ready") as answer:
                if answer.status == 200:
                    return address
        await asyncio.sleep(_POLL_S)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
    except TimeoutError:
        process.kill()
        await process.wait()
