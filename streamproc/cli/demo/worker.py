"""`streamproc worker` as a process of its own, as users run it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import aiohttp
import orjson

from streamproc.errors import OperatorError
from streamproc.settings import Settings

# One that ends is noticed at once; this is for a machine that is busy with something else.
PATIENCE_S = 300
T = TypeVar("T")


class WorkerProcess:
    """A worker of the demo's group; starts again after it was killed.

    log: the file that it writes to, in JSON
    """

    def __init__(self, settings: Settings, log: Path) -> None:
        self._log = log
        self._flags = {
            "kafka-bootstrap-servers": settings.kafka_bootstrap_servers,
            "group-id": settings.group_id,
            # The shortest Kafka takes: a killed worker's topic-partitions are free after it.
            "session-timeout-s": "6",
            "web-port": "0",
            "log-format": "json",
        }
        if settings.routes_dir is not None:
            self._flags["routes-dir"] = str(settings.routes_dir)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process; it is not ready yet."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [
                    *(sys.executable, "-m", "streamproc", "worker"),
                    *(f"--{name}={value}" for name, value in self._flags.items()),
                ],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    async def ready(self) -> None:
        """Returns once it says that it takes requests; raises OperatorError."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self.watch(self._ready())
        except TimeoutError:
            raise OperatorError(
                f"the worker is not ready after {PATIENCE_S} s:\n{self._last_words()}"
            ) from None

    async def watch(self, work: Awaitable[T]) -> T:
        """Await `work`; raises OperatorError with the worker's last words if it ends before."""
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=0.5)
                ended = self._process is not None and self._process.poll() is not None
                if ended and not task.done():
                    raise OperatorError(
                        f"the worker ended before it answered:\n{self._last_words()}"
                    )
        finally:
            task.cancel()
            # What it says of its end is heard here, or Python prints it when nobody listens.
            await asyncio.gather(task, return_exceptions=True)
        return task.result()

    def kill(self) -> None:
        """SIGKILL: nothing of the worker gets a chance to act."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """SIGTERM; returns once it has drained."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    async def _ready(self) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                address = self._health_address()
                # One that ends between two looks is noticed by who watches.
                with suppress(aiohttp.ClientError):
                    if address and (await session.get(address)).ok:
                        return
                await asyncio.sleep(0.1)

    def _health_address(self) -> str | None:
        """Told by the log: the port is any free one."""
        for line in self._log.read_bytes().splitlines(keepends=True):
            if b'"health"' in line and line.endswith(b"\n"):
                return str(orjson.loads(line)["health"])
        return None

    def _last_words(self) -> str:
        return self._log.read_text("utf-8", "replace")[-2000:]
