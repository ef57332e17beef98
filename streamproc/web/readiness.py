"""Whether the worker is ready, the reasons when it is not, and a log line when that changes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

import structlog

from streamproc.clock import Clock

CHECK_INTERVAL_S: Final = 0.5
STARTUP_GRACE_S: Final = 10.0
"""A worker that is not ready so long after its start logs why."""

log = structlog.get_logger(__name__)


class Readiness:
    """The readiness of a worker, which is ready when all its parts are."""

    def __init__(self, parts: Sequence[Callable[[], Sequence[str]]], clock: Clock) -> None:
        """parts: functions that return the reasons why they can't work, a clause each, or none"""
        self._parts = tuple(parts)
        self._clock = clock
        self._logged: tuple[str, ...] | None = None
        self._since_s = clock.monotonic_s()

    def reasons(self) -> list[str]:
        """Why the worker is not ready; empty when it is."""
        return [reason for part in self._parts for reason in part()]

    async def watch(self) -> NoReturn:
        """Log every change of readiness, with the reasons, until cancelled."""
        while True:
            self.check()
            await self._clock.sleep(CHECK_INTERVAL_S)

    def check(self) -> None:
        """Log a line if readiness or its reasons changed since the last check."""
        reasons = self.reasons()
        # A reason whose figures alone changed is not logged again.
        state = tuple(re.sub(r"[0-9.]+", "", reason) for reason in reasons)
        now_s = self._clock.monotonic_s()
        for_s = round(now_s - self._since_s, 1)
        starts = self._logged is None and reasons and for_s < STARTUP_GRACE_S
        if state == self._logged or starts:
            return
        if not reasons:
            log.info("ready", not_ready_for_s=for_s)
        elif self._logged == ():
            log.warning("not ready", reasons=reasons, was_ready_for_s=for_s)
        else:
            log.warning("not ready yet", reasons=reasons, not_ready_for_s=for_s)
        if bool(reasons) != (self._logged != ()):
            self._since_s = now_s
        self._logged = state
