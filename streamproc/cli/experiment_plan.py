"""An experiment as it is written on the command line, checked against what there is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamproc.did_you_mean import there_are
from streamproc.errors import SettingsError
from streamproc.settings import Settings

if TYPE_CHECKING:
    from streamproc.messages.experiment import Arm, Experiment
    from streamproc.repository.repository import StoredEnsemble


@dataclass(frozen=True, slots=True)
class WrittenPlan:
    """What was given on the command line; arms, shadows: NAME[@VERSION][=WEIGHT]"""

    name: str
    arms: Sequence[str]
    shadows: Sequence[str]
    topics: Sequence[str]
    routes: Sequence[str]
    decides: str


def read_plan(settings: Settings, given: WrittenPlan, served: Mapping[str, str]) -> Experiment:
    """The experiment, ready to be begun.

    served: versions that were promoted, by ensemble, of which an arm without a version is one;
        others are what the folder of models says
    Raises SettingsError, ModelRefused, TopicsError.
    """
    from pydantic import ValidationError

    from streamproc.messages.experiment import Experiment
    from streamproc.messages.validation import describe
    from streamproc.repository.repository import Repository
    from streamproc.repository.versioned_name import versioned
    from streamproc.worker.interface import Interface

    repository = Repository.trusting(settings.models_dir, settings.model_key)
    arms, shadows = map(_written, given.arms), map(_written, given.shadows)
    written = [*((*one, False) for one in arms), *((*one, True) for one in shadows)]
    if len(written) < 2 or not given.arms:
        raise SettingsError(
            "an experiment has two arms at least, the control first: --arm sentiment --arm "
            "sentiment@2, or --arm sentiment --shadow sentiment@2"
        )
    stored = [
        repository.open(versioned(version, served[version]) if version in served else version)
        for version, _, _ in written
    ]
    control = stored[0]
    for one in stored[1:]:
        Interface.of_stored(control).require_same(one, control.version)
    task, ensemble = control.manifest.task, control.manifest.name
    _require_places(settings, task, ensemble, given)
    try:
        return Experiment.model_validate(
            {
                "group": settings.group_id,
                "name": given.name,
                "task": task,
                "ensemble": ensemble,
                "topics": list(given.topics),
                "routes": list(given.routes),
                "arms": [
                    _arm(one, weight, is_shadow=is_shadow)
                    for one, (_, weight, is_shadow) in zip(stored, written, strict=True)
                ],
                "decides": given.decides,
            }
        )
    except ValidationError as error:
        raise SettingsError(f"experiment {given.name!r}: {describe(error)}") from None


def _written(arm: str) -> tuple[str, float]:
    version, is_weighted, weight = arm.partition("=")
    try:
        value = float(weight) if is_weighted else 1.0
    except ValueError:
        value = math.nan
    if not 0 < value <= 1_000_000:
        raise SettingsError(
            f"arm {arm!r}: its weight has to be a number above 0, as in {version}=2"
        )
    return version, value


def _arm(stored: StoredEnsemble, weight: float, *, is_shadow: bool) -> Arm:
    from streamproc.messages.experiment import Arm

    name = stored.manifest.name
    return Arm(
        name=f"{name}@{stored.version}",
        ensemble=name,
        version=stored.version,
        manifest=stored.digest,
        weight=weight,
        is_shadow=is_shadow,
    )


def _require_places(settings: Settings, task: str, ensemble: str, given: WrittenPlan) -> None:
    """Raise SettingsError where a topic or route is not answered by the ensemble, or none is."""
    from streamproc.enrichment.catalogue import load_routes
    from streamproc.kafka.topics import load_topics

    described = load_topics(settings.topics_dir)
    of_topics = [one.name for one in described.requests() if one.ensemble == ensemble]
    of_routes = [
        route.name
        for route in load_routes(settings)
        if any(answer.ensemble == ensemble for answer in route.answers)
    ]
    for kind, asked, there in (
        ("topic", given.topics, of_topics),
        ("route", given.routes, of_routes),
    ):
        for name in asked:
            if name not in there:
                raise SettingsError(
                    f"{ensemble} answers no {kind} {name!r}; {there_are(name, sorted(there))}"
                )
    if not of_topics and not of_routes:
        raise SettingsError(
            f"no topic of {task} and no route names {ensemble!r}, so that no request would be in "
            "the experiment: its first arm is the ensemble that answers now"
        )
