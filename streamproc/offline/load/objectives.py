"""What is asked of a service: a quantile of its latency, a share of errors."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from streamproc.errors import SettingsError
from streamproc.offline.load.recording import StepResult

Unit = Literal["s", "%"]
_WRITTEN: Final = re.compile(
    r"(?P<what>p(?P<percent>\d{1,2}(\.\d{1,4})?|100)|mean|max|errors)\s*<=?\s*"
    r"(?P<limit>\d{1,9}(\.\d{1,9})?)\s*(?P<unit>ms|s|%)"
)


@dataclass(frozen=True, slots=True)
class Objective:
    """A figure, and the most that it may be.

    what:    p99, p99.9, mean or max latency; or errors
    percent: of a quantile; None: it is none
    limit:   in seconds, or in per cent
    written: as it was given
    """

    what: str
    percent: float | None
    limit: float
    unit: Unit
    written: str

    def value_of(self, step: StepResult) -> float | None:
        """The figure, in the limit's unit; None: nothing was there to measure."""
        if self.what == "errors":
            share = step.all.error_share
            return None if share is None else 100 * share
        if self.what == "mean":
            return step.all.latency.mean_s
        return step.all.latency.quantile_s(100.0 if self.percent is None else self.percent)

    def is_kept(self, step: StepResult) -> bool:
        """Whether the step keeps it; where there is nothing to measure, nothing was kept."""
        value = self.value_of(step)
        return value is not None and value <= self.limit


def parse_objective(written: str) -> Objective:
    """An objective as it is written: p99<=200ms, mean<=0.1s, errors<=1%; raises SettingsError."""
    found = _WRITTEN.fullmatch(written.strip())
    is_share = found is not None and found["what"] == "errors"
    if found is None or is_share != (found["unit"] == "%"):
        raise SettingsError(
            f"{written!r} is no objective; write p99<=200ms, p99.9<=1s, mean<=50ms or max<=2s, "
            "or errors<=1%"
        )
    scale = 0.001 if found["unit"] == "ms" else 1.0
    percent = float(found["percent"]) if found["percent"] else None
    unit: Unit = "%" if is_share else "s"
    return Objective(found["what"], percent, float(found["limit"]) * scale, unit, written.strip())


def broken(objectives: Collection[Objective], step: StepResult) -> Sequence[Objective]:
    """Those that a step does not keep."""
    return [one for one in objectives if not one.is_kept(step)]
