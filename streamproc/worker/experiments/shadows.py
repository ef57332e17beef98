"""Shadow arms: asked in the bulk lane once a request is answered, for the record alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from streamproc.clock import Clock, Timed
from streamproc.errors import Invalid, QuorumNotMet
from streamproc.messages.experiment import Arm, Experiment
from streamproc.messages.lane import Lane
from streamproc.messages.problems import to_problem
from streamproc.messages.request import Request
from streamproc.metrics import Metrics
from streamproc.serving.engine import Engine
from streamproc.serving.tasks.task import Answer

MOST: Final = 32
"""Requests that shadow arms of a worker are asked about at a time; more are dropped, and counted:
a shadow that is slower than what it follows would hold more and more texts in memory."""
MOST_CHARACTERS: Final = 4_000_000
"""Of their texts together."""
TIMEOUT_S: Final = 30.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ShadowAnswer:
    """What a shadow arm made of a request; error: the type of it, where there is no answer."""

    arm: Arm
    answered: Timed[Answer] | None
    error: str | None
    total_ms: float


class Shadows:
    """Asks shadow arms; whatever becomes of that, no request and no commit is touched by it."""

    def __init__(self, clock: Clock, metrics: Metrics) -> None:
        self._clock = clock
        self._metrics = metrics
        self._characters = 0
        self._under_way: set[asyncio.Task[None]] = set()

    def ask(
        self,
        experiment: Experiment,
        arm: Arm,
        engine: Engine,
        request: Request,
        note: Callable[[ShadowAnswer], object],
    ) -> None:
        """Begin to ask, if there is room; note: is told what comes of it."""
        characters = characters_of(request)
        is_full = len(self._under_way) >= MOST or self._characters + characters > MOST_CHARACTERS
        if is_full:
            self._metrics.shadows_dropped.labels(experiment.name, arm.name).inc()
            return
        self._characters += characters
        asking = asyncio.create_task(self._asked(arm, engine, request, note))
        self._under_way.add(asking)
        asking.add_done_callback(lambda task: self._done(task, characters))

    async def close(self) -> None:
        """Give up on what is under way."""
        under_way = set(self._under_way)
        for task in under_way:
            task.cancel()
        if under_way:
            await asyncio.wait(under_way)

    def _done(self, task: asyncio.Task[None], characters: int) -> None:
        self._under_way.discard(task)
        self._characters -= characters

    async def _asked(
        self, arm: Arm, engine: Engine, request: Request, note: Callable[[ShadowAnswer], object]
    ) -> None:
        began_s = self._clock.monotonic_s()
        answered, error = None, None
        try:
            async with asyncio.timeout(TIMEOUT_S):
                job = engine.task.begin(request.inputs, request.params, engine.spec)
                answered = await engine.answer(job, Lane.BULK)
        except TimeoutError:
            error = "deadline"
        except (Invalid, QuorumNotMet) as reason:
            error = to_problem(reason).type
        except Exception as reason:  # noqa: BLE001 - nobody waits for it
            error = "failed"
            said = f"{type(reason).__name__}: {reason}"
            log.warning("shadow arm failed", arm=arm.name, error=said)
        note(ShadowAnswer(arm, answered, error, (self._clock.monotonic_s() - began_s) * 1000))


def characters_of(request: Request) -> int:
    """Of all texts of a request together."""
    return sum(len(value) for value in request.inputs.values() if isinstance(value, str))
