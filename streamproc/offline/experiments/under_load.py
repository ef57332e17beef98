"""An experiment's arms as `streamproc load` has measured them: at the same time, at equal load."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from streamproc.errors import SettingsError
from streamproc.logs.printable import printable
from streamproc.messages.experiment import Experiment
from streamproc.messages.validation import describe


class _Part(BaseModel):
    """Of a load's JSON, which has more than is read here."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Quantiles(_Part):
    """Latencies in milliseconds; None: nothing was recorded."""

    p50: float | None
    p99: float | None


class ArmLoad(_Part):
    """What became of an arm's requests of one step; error_share: of those asked, 0 to 1"""

    asked: int = Field(ge=0)
    error_share: float | None
    latency_ms: Quantiles


class _Step(_Part):
    level: float
    experiments: dict[str, dict[str, ArmLoad]]


class _Load(_Part):
    command: str
    date: AwareDatetime
    loop: str
    unit: str
    steps: list[_Step]


@dataclass(frozen=True, slots=True)
class LevelOfLoad:
    """One step. level: requests a second that were sent, or users; arms: by their names"""

    level: float
    arms: dict[str, ArmLoad]


@dataclass(frozen=True, slots=True)
class LoadOfArms:
    """A load that was sent while the experiment ran.

    file:    that it was read from
    command: that was given; date: of its beginning, as ISO 8601 has it
    loop:    how requests were sent; unit: what levels count
    levels:  rising
    """

    file: str
    command: str
    date: str
    loop: str
    unit: str
    levels: Sequence[LevelOfLoad]

    def rows(self, experiment: Experiment) -> Iterator[tuple[float, str, ArmLoad]]:
        """Each step's arms, in the order that the experiment has them in."""
        for one in self.levels:
            for arm in experiment.arms:
                if arm.name in one.arms:
                    yield one.level, arm.name, one.arms[arm.name]


def read_load(path: Path) -> LoadFile:
    """What a file of `streamproc load --json` holds; raises SettingsError where it is none."""
    try:
        return LoadFile(path, _Load.model_validate_json(path.read_bytes()))
    except OSError as error:
        raise SettingsError(f"can't read {path}: {error.strerror}") from None
    except ValidationError as error:
        raise SettingsError(
            f"{path} is no report of `streamproc load --json`: {describe(error)}"
        ) from None


@dataclass(frozen=True, slots=True)
class LoadFile:
    """A load's report, of whatever was asked."""

    path: Path
    load: _Load

    def of(self, experiment: Experiment) -> LoadOfArms:
        """What it says of an experiment's arms.

        Raises SettingsError where it says nothing of them, or is older than the experiment.
        """
        path, load = self.path, self.load
        levels = [
            LevelOfLoad(step.level, step.experiments[experiment.name])
            for step in sorted(load.steps, key=lambda step: step.level)
            if experiment.name in step.experiments
        ]
        if not levels:
            raise SettingsError(
                f"{path}: no response was of an arm of {experiment.name}; send the load while the "
                "experiment runs, to the topics or routes that it is on"
            )
        # The date has no fractions of a second.
        if load.date.timestamp() + 1 <= experiment.started_ms / 1000:
            raise SettingsError(
                f"{path} is of {load.date.isoformat()}, before {experiment.name} began: its arms "
                "may have been others"
            )
        names = {arm.name for arm in experiment.arms}
        if strange := {name for level in levels for name in level.arms} - names:
            raise SettingsError(f"{path}: {experiment.name} has no arm {min(strange)!r}")
        return LoadOfArms(
            file=printable(path.name),
            command=printable(load.command),
            date=load.date.isoformat(),
            loop=printable(load.loop),
            unit=printable(load.unit),
            levels=levels,
        )
