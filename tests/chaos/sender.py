"""Requests and events sent at a steady rate, and where each of them lies."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer

from tests.chaos.asked import Asked
from tests.chaos.loads.load import Load
from tests.support.topics import producing, send_all

SLICE_S = 0.1


class Sender:
    """Sends past the proxies, so that a fault of workers' connections does not stop it.

    asked: all that the broker has taken
    logs:  how often a topic has been made again
    gone:  ids that no answer is waited for, as Kafka deleted them first
    """

    def __init__(self, bootstrap_servers: str, seed: int, load: Load) -> None:
        self.load = load
        self.asked: list[Asked] = []
        self.logs: Counter[str] = Counter()
        self.gone: set[str] = set()
        self._bootstrap_servers = bootstrap_servers
        self._name = f"chaos-{seed}"
        self._sent = 0
        self._is_stopped = False
        self._lock = asyncio.Lock()

    async def run(self, a_second: float) -> None:
        """Steadily, until `stop`; what an absent broker holds up is not caught up with."""
        due = 0.0
        while not self._is_stopped:
            due += a_second * SLICE_S
            await asyncio.gather(self.send(int(due)), asyncio.sleep(SLICE_S))
            due -= int(due)

    def stop(self) -> None:
        """Nothing more is sent by `run`."""
        self._is_stopped = True

    async def reach(self, count: int) -> None:
        """Returns once `run` has sent so many in all."""
        while len(self.asked) < count:  # noqa: ASYNC110 - what a task of ours has sent
            await asyncio.sleep(SLICE_S)

    async def send(self, count: int, topic: str | None = None) -> None:
        """So many more, to a topic or to each in turn; returns once they are stored."""
        async with self._lock:
            await self._send(count, topic)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Nothing is on its way during the block, and topics are looked for anew afterwards."""
        async with self._lock:
            await self._producer_ends()
            yield
            await self._producer_begins()

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """It can send for as long as the block lasts."""
        await self._producer_begins()
        try:
            yield
        finally:
            await self._producer_ends()

    async def _producer_begins(self) -> None:
        self._context = producing(self._bootstrap_servers)
        self._producer: AIOKafkaProducer = await self._context.__aenter__()

    async def _producer_ends(self) -> None:
        await self._context.__aexit__(None, None, None)

    async def _send(self, count: int, topic: str | None) -> None:
        if not count:
            return
        numbers = range(self._sent, self._sent + count)
        self._sent += count
        names = [f"{self._name}-{number}" for number in numbers]
        records = [
            self.load.record(name, number, topic)
            for name, number in zip(names, numbers, strict=True)
        ]
        positions = await send_all(self._producer, records)
        for name, record, position in zip(names, records, positions, strict=True):
            key, log = (record.key or b"").decode(), self.logs[record.topic]
            self.asked.append(Asked(name, key, *position, log))
