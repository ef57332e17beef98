"""When requests start that the attempt gate holds back, and the commits that they wait for.

All of it runs on the event loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic

import structlog

from streamproc.clock import Clock
from streamproc.kafka.attempt_gate import AttemptGate
from streamproc.kafka.partition_attempts import Item

_log = structlog.get_logger(__name__)

ALONE_S: Final = 30.0
"""The longest that all else waits for one record that is run alone, or does not come."""


class GatedStarts(Generic[Item]):
    """Starts what the gate lets, and has stored what has to be before more may start.

    start:  begins with what arrived; the process has died so often with it in hand
    commit: stores offsets and marks
    """

    def __init__(
        self,
        gate: AttemptGate[Item],
        start: Callable[[Item, int], object],
        commit: Callable[[], Awaitable[object]],
        clock: Clock,
    ) -> None:
        self._gate = gate
        self._start = start
        self._commit = commit
        self._clock = clock
        self._storing: asyncio.Task[None] | None = None
        self._moved_at_s = 0.0
        self._was_exclusive = False
        self._is_to_go_on = False

    def begin(self) -> None:
        """The marks of an assignment are there."""
        self._moved_at_s = self._clock.monotonic_s()
        self.go_on()

    def go_on(self) -> None:
        """Start what may be started, and store what has to be stored before more may."""
        self._is_to_go_on = False
        if not self._gate.is_waited_at:
            return
        is_exclusive = self._gate.is_exclusive
        if is_exclusive and not self._was_exclusive:
            # It waits from now on, whenever anything was started last.
            self._moved_at_s = self._clock.monotonic_s()
        self._was_exclusive = is_exclusive
        for start in self._gate.startable():
            self._moved_at_s = self._clock.monotonic_s()
            self._start(start.item, start.deaths)
        if self._gate.wants_commit and (self._storing is None or self._storing.done()):
            self._storing = asyncio.create_task(self._store())

    def go_on_soon(self) -> None:
        """Once for all that finish in this turn of the loop: it looks at every topic-partition."""
        if not self._is_to_go_on:
            self._is_to_go_on = True
            asyncio.get_running_loop().call_soon(self.go_on)

    def committed(self) -> None:
        """What has just been stored may start; only then is anybody waited for."""
        self.go_on()
        now_s = self._clock.monotonic_s()
        if self._gate.wants_commit:
            # All waits for Kafka to store a mark, which is no doing of the record that is next.
            self._moved_at_s = now_s
        elif self._gate.is_exclusive and now_s - self._moved_at_s > ALONE_S:
            _log.warning(
                "a request that runs alone takes long, others go on",
                seconds=ALONE_S,
                running=self._gate.running(),
                waiting=self._gate.waiting(),
            )
            self._gate.lapse()
            self.go_on()

    async def _store(self) -> None:
        """Store what was finished alone, and then, which may be another's, what is to be next."""
        await self._commit()
        if self._gate.wants_commit:
            await self._commit()
