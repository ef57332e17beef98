"""Raising the load step by step until an objective breaks, and then looking for the place."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

from streamproc.offline.load.objectives import Objective, broken
from streamproc.offline.load.recording import StepResult

Measure = Callable[[float], Awaitable[StepResult]]
"""Runs a step at a level: requests a second, or users."""


@dataclass(frozen=True, slots=True)
class Stepping:
    """Which levels are tried.

    start:  the first
    factor: by which each level is more than the one before, above 1
    most:   steps at most
    refine: of these, how many halve the distance between the highest level that kept all
        objectives and the lowest that did not; the distance is measured in factors
    whole:  levels are whole numbers, as users are
    """

    start: float
    factor: float = 1.5
    most: int = 1
    refine: int = 3
    whole: bool = False

    async def steps(
        self, measure: Measure, objectives: Collection[Objective]
    ) -> AsyncGenerator[StepResult, None]:
        """Each step, in the order in which they are run.

        Levels rise until an objective breaks; where the first breaks one they fall until none does.
        Without objectives levels rise to the last step.
        """
        kept: float | None = None
        failed: float | None = None
        refined = 0
        level = self._rounded(self.start)
        for _ in range(self.most):
            step = await measure(level)
            yield step
            if broken(objectives, step):
                failed = level if failed is None else min(failed, level)
            else:
                kept = level if kept is None else max(kept, level)
            if kept is not None and failed is not None:
                # A service that was slow for another reason may break one below what it kept.
                between = self._rounded(math.sqrt(kept * failed))
                if refined >= self.refine or not kept < between < failed:
                    return
                level, refined = between, refined + 1
            elif failed is not None:
                level = self._rounded(failed / self.factor)
                if level >= failed:
                    return
            else:
                level = max(self._rounded(level * self.factor), level + 1 if self.whole else 0)

    def _rounded(self, level: float) -> float:
        return float(max(1, round(level))) if self.whole else level


@dataclass(frozen=True, slots=True)
class Saturation:
    """Where an objective breaks.

    kept:   the highest level that kept all objectives, below every one that did not; None: none did
    failed: the lowest level that did not; None: all did
    objectives: that broke there
    """

    kept: StepResult | None
    failed: StepResult | None
    objectives: Sequence[Objective]


def saturation_of(steps: Collection[StepResult], objectives: Collection[Objective]) -> Saturation:
    """What the steps say, in whatever order they were run."""
    rising = sorted(steps, key=lambda step: step.level)
    failed = next((step for step in rising if broken(objectives, step)), None)
    below = [step for step in rising if failed is None or step.level < failed.level]
    return Saturation(
        below[-1] if below else None, failed, broken(objectives, failed) if failed else ()
    )
