"""Servers that only take time, to try a load on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from streamproc.errors import RequestFailed
from streamproc.messages.response import ExperimentArm
from streamproc.offline.load.arrivals import Arrivals
from streamproc.offline.load.loops import Ask, StepTimes
from streamproc.offline.load.mix import Mix, Question, Text, parse_mix
from streamproc.offline.load.plan import LoadPlan, Loop, OpenLoop, run_plan
from streamproc.offline.load.recording import Reply, StepResult
from streamproc.offline.load.stepping import Stepping
from tests.support.virtual_time import LoopClock

MIX = Mix(parse_mix(["text-classification"]), [Text("a good film")])
VERSION = "sentiment 0123456789ab"


class OneAtATime:
    """Answers in the order of asking, each request in the same time.

    asked: so many; fail_every: each so manieth is refused at once
    """

    def __init__(self, service_s: float, fail_every: int = 0) -> None:
        self._service_s = service_s
        self._fail_every = fail_every
        self._busy = asyncio.Lock()
        self.asked: list[Question] = []

    async def __call__(self, question: Question) -> Reply:
        self.asked.append(question)
        if self._fail_every and len(self.asked) % self._fail_every == 0:
            raise RequestFailed("failed", "it fails", "each so manieth")
        async with self._busy:
            await asyncio.sleep(self._service_s)
        return Reply(VERSION)


class TwoArms:
    """Arms of an experiment that answer in turns, at any number of requests at a time.

    first_s, second_s: what each takes; fail_every: each so manieth of the second is an error
    """

    def __init__(
        self, name: str, arms: tuple[str, str], first_s: float, second_s: float, fail_every: int
    ) -> None:
        self._arms = [ExperimentArm(name, arm) for arm in arms]
        self._takes_s = (first_s, second_s)
        self._fail_every = fail_every
        self._asked = [0, 0]

    async def __call__(self, question: Question) -> Reply:
        number = sum(self._asked) % 2
        self._asked[number] += 1
        arm = self._arms[number]
        if number and self._asked[1] % self._fail_every == 0:
            return Reply(VERSION, arm, RequestFailed("failed", "it fails", "each so manieth"))
        await asyncio.sleep(self._takes_s[number])
        return Reply(VERSION, arm)


class Stalling:
    """Answers in a millisecond, but for one stall in which it answers nothing.

    from_s, to_s: seconds after the first request
    """

    def __init__(self, from_s: float, to_s: float) -> None:
        self._from_s, self._to_s = from_s, to_s
        self._began_s: float | None = None

    async def __call__(self, question: Question) -> Reply:
        now_s = asyncio.get_running_loop().time()
        if self._began_s is None:
            self._began_s = now_s
        since_s = now_s - self._began_s
        await asyncio.sleep(0.001 + max(0.0, self._to_s - since_s) * (since_s >= self._from_s))
        return Reply(VERSION)


def step_times(duration_s: float = 20.0, **others: float) -> StepTimes:
    """Without a warm-up, where nothing else is said."""
    defaults = {"warm_up_s": 0.0, "timeout_s": 30.0, "drain_s": 30.0}
    return StepTimes(duration_s=duration_s, **{**defaults, **others})  # type: ignore[arg-type]


async def one_step(ask: Ask, loop: Loop, level: float, times: StepTimes) -> StepResult:
    """One step at a level."""
    plan = LoadPlan(loop, MIX, times, Stepping(level), (), seed=0)
    (step,) = [step async for step in run_plan(plan, ask, LoopClock())]
    return step


async def open_step(
    ask: Ask, arrivals: Arrivals, rate_per_s: float, times: StepTimes
) -> StepResult:
    """One step in open loop."""
    return await one_step(ask, OpenLoop(arrivals), rate_per_s, times)


def levels_of(steps: Sequence[StepResult]) -> list[float]:
    """What was tried, in its order."""
    return [step.level for step in steps]
