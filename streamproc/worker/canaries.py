"""Whether each ensemble answers, seen by asking: a worker is ready only while all of them do.

A canary is a request of one word that goes the way of every interactive chunk: queue, batch, model
thread, members, combination. So `ready` is not said by a worker whose models hang while nobody asks
them, and a call that hangs is found, and the process ended, before a request has to wait for it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import structlog

from streamproc.clock import Clock
from streamproc.errors import Invalid, StreamprocError
from streamproc.messages.lane import Lane
from streamproc.metrics import Metrics
from streamproc.serving.engine import Engine

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Failing:
    """Why an ensemble has not answered its canary, and since when."""

    reason: str
    since_s: float


class Canaries:
    """Asks every ensemble that serves again and again, and says which ones do not answer."""

    def __init__(
        self,
        engines: Callable[[], Sequence[Engine]],
        interval_s: float,
        timeout_s: float,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """engines: those that serve now
        interval_s: from one round to the next; 0: there is none
        timeout_s: that an answer may take
        """
        self._engines = engines
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._clock = clock
        self._metrics = metrics
        # By ensemble, and not by version: one that takes over was tried out when it was loaded.
        self._answered: set[str] = set()
        self._failing: dict[str, _Failing] = {}

    async def watch(self) -> NoReturn:
        """Ask round after round, until cancelled."""
        while True:
            began_s = self._clock.monotonic_s()
            if self._interval_s:
                await self.ask()
            took_s = self._clock.monotonic_s() - began_s
            await self._clock.sleep(max(self._interval_s - took_s, 1.0))

    async def ask(self) -> None:
        """One round, all ensembles at once; returns once each has answered, or is late."""
        engines = self._engines()
        await asyncio.gather(*(self._ask(engine) for engine in engines))

    def not_ready(self) -> list[str]:
        """The ensembles that do not answer, and why, a clause each."""
        if not self._interval_s:
            return []
        names = [engine.spec.name for engine in self._engines()]
        now_s = self._clock.monotonic_s()
        return [
            f"ensemble {name} has not answered its canary for {now_s - failing.since_s:.0f} s "
            f"({failing.reason})"
            if (failing := self._failing.get(name))
            else f"ensemble {name} has not answered its first canary yet"
            for name in names
            if name in self._failing or name not in self._answered
        ]

    async def _ask(self, engine: Engine) -> None:
        name, began_s = engine.spec.name, self._clock.monotonic_s()
        try:
            async with asyncio.timeout(self._timeout_s):
                await engine.answer(engine.task.canary(engine.spec), Lane.INTERACTIVE)
        except Invalid:
            pass  # It answers nobody who says so little, and so nothing is told by that.
        except TimeoutError:
            self._fail(name, f"no answer within {self._timeout_s:g} s", began_s)
            return
        except StreamprocError as error:
            self._fail(name, str(error), began_s)
            return
        except Exception as error:  # noqa: BLE001 - what a request would run into, and be told of
            self._fail(name, f"{type(error).__name__} in our own code", began_s)
            return
        took_s = self._clock.monotonic_s() - began_s
        self._metrics.canary_seconds.labels(name).set(took_s)
        self._answered.add(name)
        if self._failing.pop(name, None) is not None:
            log.info("canary answered again", ensemble=name, seconds=round(took_s, 3))

    def _fail(self, name: str, reason: str, since_s: float) -> None:
        self._metrics.canary_seconds.labels(name).set(math.nan)
        before = self._failing.get(name)
        if before is None:
            log.warning("canary not answered", ensemble=name, reason=reason)
        self._failing[name] = _Failing(reason, before.since_s if before else since_s)
