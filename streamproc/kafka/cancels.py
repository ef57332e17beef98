"""The topic of requests that were taken back: told by who asked, followed by workers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Final, NoReturn

from streamproc.clock import Clock
from streamproc.kafka.topic_follower import FOLLOW_WAIT_MS, follow_topic, keep_reading
from streamproc.messages.cancel import cancel_record, cancelled_id
from streamproc.messages.parts import HandOver
from streamproc.settings import Settings

CLOSE_WITHIN_S: Final = 2.0
"""For telling what is still to be told; a cancel that is lost costs a model's time and no more."""


class CancelPublisher:
    """Tells workers that nobody waits for a request any more; nobody waits for it to be told.

    topic: None: there is none, and nothing is told
    """

    def __init__(self, topic: str | None, hand_over: HandOver) -> None:
        self.topic = topic
        self._hand_over = hand_over
        self._telling: set[asyncio.Task[None]] = set()

    def publish(self, correlation_id: bytes) -> None:
        """Begin to take back the request with this `kafka_correlationId`."""
        if self.topic is None:
            return
        telling = asyncio.create_task(self._tell(self.topic, correlation_id))
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)

    async def close(self) -> None:
        """Returns once all is told, or can't be in time."""
        if not self._telling:
            return
        _, late = await asyncio.wait(self._telling, timeout=CLOSE_WITHIN_S)
        for task in late:
            task.cancel()

    async def _tell(self, topic: str, correlation_id: bytes) -> None:
        # Whether it is stored is said in the log of the producer; it is not tried again.
        await (await self._hand_over(cancel_record(topic, correlation_id)))


class CancelFeed:
    """Follows the topic for as long as a worker runs, whatever is away meanwhile.

    From its beginning, as it keeps about as much as is of use: a worker that starts has to know
    what was taken back while its requests were in a backlog.
    """

    def __init__(
        self, settings: Settings, topic: str, clock: Clock, take: Callable[[bytes, float], object]
    ) -> None:
        """take: is handed the identifier of each request that was taken back, and its age in
        seconds
        """
        self._settings = settings
        self._topic = topic
        self._clock = clock
        self._take = take
        self.caught_up = asyncio.Event()
        """What was taken back before is known; or can't be, as there is no topic."""

    async def follow(self) -> NoReturn:
        """Read until cancelled, whatever goes wrong meanwhile."""
        await keep_reading(
            self._topic,
            self._read,
            self._clock,
            unread="requests can't be taken back",
            without_topic=self.caught_up.set,
        )

    async def _read(self) -> NoReturn:
        follower = follow_topic(self._settings, self._topic, FOLLOW_WAIT_MS)
        async with aclosing(follower) as followed:
            async for records, is_whole in followed:
                for record in records:
                    correlation_id = cancelled_id(record)
                    if correlation_id is not None:
                        age_ms = self._clock.now_ms() - record.timestamp_ms
                        self._take(correlation_id, max(0, age_ms) / 1000)
                if is_whole:
                    self.caught_up.set()
        raise AssertionError("unreachable: a topic is followed without end")
