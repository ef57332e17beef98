"""A broker that ends, is away, or has no room on its disk."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil

from tests.chaos.place import Place

FULL_WITHIN_S = 60


class BrokerKilled:
    """SIGKILL, and a new start at once."""

    name = "broker kill -9"

    async def act(self, place: Place) -> None:
        await asyncio.to_thread(place.kafka.broker.kill)
        await asyncio.to_thread(place.kafka.broker.start)


class Outage:
    """The broker is stopped in order, and comes back after a while."""

    def __init__(self, seconds: float) -> None:
        self.name = f"broker away for {seconds:g} s"
        self._seconds = seconds

    async def act(self, place: Place) -> None:
        await asyncio.to_thread(place.kafka.broker.stop)
        await asyncio.sleep(self._seconds)
        await asyncio.to_thread(place.kafka.broker.start)


class DiskFull:
    """No file of the broker's can grow, and it ends by itself; then there is room again.

    The limit is that of the process on the size of files, which needs no right and no disk of its
    own: a write beyond it fails with an IOException as one to a full disk does ("File too large"
    in the place of "No space left on device"), and Kafka takes both for a failed log directory.
    """

    name = "disk full"

    async def act(self, place: Place) -> None:
        broker = place.kafka.broker
        process = _java_of(broker.data_dir)
        process.rlimit(psutil.RLIMIT_FSIZE, (1, 1))
        async with asyncio.timeout(FULL_WITHIN_S):
            while broker.is_running:  # noqa: ASYNC110 - a process's end
                await asyncio.sleep(0.1)
        await asyncio.to_thread(broker.kill)
        await asyncio.to_thread(broker.start)


def _java_of(data_dir: Path) -> psutil.Process:
    """The broker's own process, below the one that starts it."""
    children = psutil.Process().children(recursive=True)
    properties = str(data_dir / "server.properties")
    java = [one for one in children if one.name() == "java" and properties in one.cmdline()]
    assert len(java) == 1, f"{len(java)} brokers of {properties}"
    return java[0]
