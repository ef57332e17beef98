"""Whether the worker is ready, why not, and one log line whenever that changes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

import structlog

from streamproc.clock import Clock

LOOK_EVERY_S: Final = 0.5
START_S: Final = 10.0
"""A worker that is not ready for so long after its start says why."""

log = structlog.get_logger(__name__)


class Readiness:
    """What all of a worker's parts say of themselves, together."""

    def __init__(self, parts: Sequence[Callable[[], Sequence[str]]], clock: Clock) -> None:
        """parts: each says what keeps it from working, a clause each; nothing while it works"""
        self._parts = tuple(parts)
        self._clock = clock
        self._told: tuple[str, ...] | None = None
        self._since_s = clock.monotonic_s()

    def reasons(self) -> list[str]:
        """Why the worker is not ready; empty when it is."""
        return [reason for part in self._parts for reason in part()]

    async def tell(self) -> NoReturn:
        """Log when the worker becomes ready, and when and why it no longer is, until cancelled."""
        while True:
            self.look()
            await self._clock.sleep(LOOK_EVERY_S)

    def look(self) -> None:
        """Log a line if things have changed since the last look."""
        reasons = self.reasons()
        # The same trouble is told once, however its figures change.
        state = tuple(re.sub(r"[0-9.]+", "", reason) for reason in reasons)
        now_s = self._clock.monotonic_s()
        for_s = round(now_s - self._since_s, 1)
        starts = self._told is None and reasons and for_s < START_S
        if state == self._told or starts:
            return
        if not reasons:
            log.info("ready", not_ready_for_s=for_s)
        elif self._told == ():
            log.warning("not ready", reasons=reasons, was_ready_for_s=for_s)
        else:
            log.warning("not ready yet", reasons=reasons, not_ready_for_s=for_s)
        if bool(reasons) != (self._told != ()):
            self._since_s = now_s
        self._told = state
