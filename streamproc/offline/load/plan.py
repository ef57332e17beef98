"""A load as it was ordered, and its steps run one after another."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from streamproc.clock import Clock
from streamproc.errors import SettingsError
from streamproc.offline.load.arrivals import Arrivals
from streamproc.offline.load.loops import Ask, StepRunner, StepTimes
from streamproc.offline.load.mix import Mix
from streamproc.offline.load.objectives import Objective
from streamproc.offline.load.recording import StepResult
from streamproc.offline.load.stepping import Stepping
from streamproc.offline.load.worker_use import WorkerStates


class Loop(Protocol):
    """How requests are sent."""

    @property
    def title(self) -> str:
        """What it is, for a report."""
        ...

    @property
    def unit(self) -> str:
        """What a level counts: requests a second, or users."""
        ...

    def times(self, times: StepTimes, level: float) -> StepTimes:
        """Those of a step, which may end before it was to end."""
        ...

    async def run(self, runner: StepRunner, level: float, rng: np.random.Generator) -> None:
        """Send the requests of one step."""
        ...


@dataclass(frozen=True, slots=True)
class OpenLoop:
    """Requests come at their times, whether or not earlier ones are answered."""

    arrivals: Arrivals
    unit: str = "requests/s"

    @property
    def title(self) -> str:
        return f"open loop, {self.arrivals.title}"

    def times(self, times: StepTimes, level: float) -> StepTimes:
        left_s = self.arrivals.lasts_s(level) - times.warm_up_s
        if left_s <= 0:
            raise SettingsError(
                f"{self.arrivals.title} ends within the warm-up of {times.warm_up_s:g} s at "
                f"{level:g} {self.unit}; give a smaller --warm-up-s or --rate"
            )
        return replace(times, duration_s=min(times.duration_s, left_s))

    async def run(self, runner: StepRunner, level: float, rng: np.random.Generator) -> None:
        await runner.open_loop(self.arrivals.at_rate(level, rng))


@dataclass(frozen=True, slots=True)
class ClosedLoop:
    """Users who wait for their answers; think_s: the mean time until they ask again."""

    think_s: float
    unit: str = "users"

    @property
    def title(self) -> str:
        return f"closed loop, users who think for {self.think_s:g} s"

    def times(self, times: StepTimes, level: float) -> StepTimes:
        return times

    async def run(self, runner: StepRunner, level: float, rng: np.random.Generator) -> None:
        await runner.closed_loop(round(level), self.think_s)


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """All that decides what is sent; with the same seed the same is sent at the same times."""

    loop: Loop
    mix: Mix
    times: StepTimes
    stepping: Stepping
    objectives: Sequence[Objective]
    seed: int


async def run_plan(
    plan: LoadPlan, ask: Ask, clock: Clock, workers: WorkerStates | None = None
) -> AsyncGenerator[StepResult, None]:
    """The result of each step, when it has ended."""
    number = 0

    async def measure(level: float) -> StepResult:
        nonlocal number
        number += 1
        arrivals_rng, mix_rng = np.random.default_rng([plan.seed, number]).spawn(2)
        times = plan.loop.times(plan.times, level)
        runner = StepRunner(ask, plan.mix, times, clock, mix_rng)
        began_ms, began_s, cpu_s = clock.now_ms(), clock.monotonic_s(), _cpu_s()
        await plan.loop.run(runner, level, arrivals_rng)
        took_s = clock.monotonic_s() - began_s
        return runner.recorder.result(
            level,
            own_cpu=(_cpu_s() - cpu_s) / took_s if took_s > 0 else None,
            workers=()
            if workers is None
            else workers.within(
                began_ms + round(1000 * times.warm_up_s),
                began_ms + round(1000 * times.sending_s),
            ),
        )

    async for step in plan.stepping.steps(measure, plan.objectives):
        yield step


def _cpu_s() -> float:
    """Seconds of CPU that this process has used."""
    used = os.times()
    return used.user + used.system
