"""What has been answered so far, as a reader of committed records sees it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer

from tests.chaos.asked import Asked, id_of
from tests.support.topics import stored

CATCH_UP_S = 60


class Watch:
    """Follows the topics of answers and dead letters.

    answered: when an id was first answered, on the clock of `time.monotonic`
    ids:      how often each was
    last_s:   when the last answer came
    """

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self.answered: dict[str, float] = {}
        self.ids: Counter[str] = Counter()
        self.last_s = 0.0

    async def follow(self) -> None:
        """Until cancelled."""
        while True:
            fetched = await self._consumer.getmany(timeout_ms=200)
            now_s = time.monotonic()
            for records in fetched.values():
                for record in records:
                    name = id_of(stored(record))
                    self.answered.setdefault(name, now_s)
                    self.ids[name] += 1
                    self.last_s = now_s

    async def catch_up(self) -> None:
        """Returns once all is read that lies there by now."""
        ends = await self._consumer.end_offsets(self._consumer.assignment())
        async with asyncio.timeout(CATCH_UP_S):
            for tp, end in ends.items():
                while await self._consumer.position(tp) < end:  # noqa: ASYNC110 - what a task of ours reads
                    await asyncio.sleep(0.02)

    async def first_after(self, since_s: float, quiet_s: float) -> float:
        """Seconds from then to the next answer; raises TimeoutError where none comes."""
        async with asyncio.timeout(quiet_s):
            while self.last_s <= since_s:  # noqa: ASYNC110 - what a task of ours has read
                await asyncio.sleep(0.02)
        return self.last_s - since_s

    def last_of(self, asked: Iterable[Asked]) -> float:
        """When the last of these was first answered, on the clock of `time.monotonic`."""
        return max((self.answered[one.id] for one in asked if one.id in self.answered), default=0.0)

    async def all_of(self, asked: Iterable[Asked], gone: set[str], quiet_s: float) -> None:
        """Returns once each is answered or gone; raises TimeoutError once answers stop coming."""
        left = {one.id: one for one in asked if one.id not in self.answered}
        fewest, fewer_at_s = len(left), time.monotonic()
        while left := {
            name: one
            for name, one in left.items()
            if name not in self.answered and name not in gone
        }:
            if len(left) < fewest:
                fewest, fewer_at_s = len(left), time.monotonic()
            if time.monotonic() - fewer_at_s > quiet_s:
                shown = [f"{one.topic}:{one.partition}:{one.offset}" for one in left.values()][:8]
                raise TimeoutError(f"{len(left)} without an answer for {quiet_s:g} s: {shown}")
            await asyncio.sleep(0.05)
