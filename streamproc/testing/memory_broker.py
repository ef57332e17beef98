"""Published records, kept in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson

from streamproc.errors import StreamprocError
from streamproc.messages.record import ProducerRecord


class MemoryBroker:
    """Keeps what is published, by topic.

    refuse: raises what the broker would, or returns
    """

    def __init__(self, refuse: Callable[[ProducerRecord], None] | None = None) -> None:
        self.topics: dict[str, list[ProducerRecord]] = {}
        self._refuse = refuse

    async def publish(self, record: ProducerRecord) -> None:
        if self._refuse is not None:
            self._refuse(record)
        self.topics.setdefault(record.topic, []).append(record)

    async def hand_over(self, record: ProducerRecord) -> asyncio.Future[bool]:
        """Publish a record that is tried once; whether it was taken."""
        taken = asyncio.get_running_loop().create_future()
        try:
            await self.publish(record)
        except StreamprocError:
            taken.set_result(False)
        else:
            taken.set_result(True)
        return taken

    def values(self, topic: str) -> list[dict[str, Any]]:
        """The JSON values published to a topic, in order."""
        return [orjson.loads(record.value or b"null") for record in self.topics.get(topic, [])]
