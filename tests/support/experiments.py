"""Experiments and exposures, with defaults for what a test does not say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streamproc.messages.experiment import Arm, Experiment
from streamproc.messages.experiment_split import unit_of
from streamproc.messages.exposure import Exposure
from streamproc.messages.feedback import Feedback
from streamproc.offline.experiments.observations import (
    ExposureTable,
    Observations,
    TimedFeedback,
)

STARTED_MS = 1_700_000_000_000


def arm(version: str, weight: float = 1.0, *, is_shadow: bool = False, **changes: Any) -> Arm:
    """A version of the ensemble "tiny"."""
    fields = {
        "name": f"tiny@{version}",
        "ensemble": "tiny",
        "version": version,
        "manifest": version[0] * 64,
        "weight": weight,
        "is_shadow": is_shadow,
    }
    return Arm.model_validate({**fields, **changes})


def experiment(*arms: Arm, **changes: Any) -> Experiment:
    """One that runs, of versions 1 and 2 where nothing else is said."""
    fields = {
        "group": "g",
        "name": "trial",
        "task": "text-classification",
        "ensemble": "tiny",
        "arms": list(arms) or [arm("1"), arm("2")],
        "started_ms": STARTED_MS,
        "at_ms": STARTED_MS,
    }
    return Experiment.model_validate({**fields, **changes})


def exposure(number: int, version: str = "1", **changes: Any) -> Exposure:
    """Of the request `str(number)`, which has a key of its own."""
    fields = {
        "group": "g",
        "experiment": "trial",
        "started_ms": STARTED_MS,
        "arm": f"tiny@{version}",
        "id": str(number),
        "unit": unit_of(experiment(), None, str(number)),
        "task": "text-classification",
        "place": "requests",
        "lane": "interactive",
        "length": "1-127",
        "status": "ok",
        "total_ms": 10.0,
        "label": "positive",
        "at_ms": STARTED_MS + number,
    }
    return Exposure.model_validate({**fields, **changes})


def feedback(*said: dict[str, Any]) -> dict[str, TimedFeedback]:
    """The last of each id, in the order that they were said in."""
    return {
        one["id"]: TimedFeedback((number, 0, number), Feedback.model_validate(one))
        for number, one in enumerate(said)
    }


def observed(
    own: Experiment,
    exposures: Sequence[Exposure],
    said: dict[str, TimedFeedback] | None = None,
) -> Observations:
    """Exposures joined with feedback."""
    table = ExposureTable(own)
    for one in exposures:
        table.take(one)
    return table.observations(said or {})
