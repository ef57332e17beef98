"""The experiments of one place: a topic of requests, or what a route asks a task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from streamproc.clock import Clock
from streamproc.messages.experiment import Arm, Experiment
from streamproc.messages.experiment_split import answering_arm, shadow_arms, unit_of
from streamproc.messages.exposure import FAILED_OVER, NOT_SERVED, length_of
from streamproc.messages.lane import Lane
from streamproc.messages.request import Request
from streamproc.messages.response import ExperimentArm, Response
from streamproc.metrics import Metrics
from streamproc.serving.engine import Engine
from streamproc.serving.traffic_split import AssignedArm
from streamproc.worker.experiments.exposure_log import ExposureLog
from streamproc.worker.experiments.shadows import ShadowAnswer, Shadows, characters_of

_NO_ANSWER: Final = (FAILED_OVER, NOT_SERVED)


@dataclass(frozen=True, slots=True)
class Place:
    """Where requests come from.

    name: of the topic or route
    is_named_by_sender: whether an ensemble that a request names is its sender's own choice, which
        takes it out of all experiments; a route names one for each answer
    """

    name: str
    task: str
    lane: Lane
    is_named_by_sender: bool


class ArmsOf(Protocol):
    """What answers for arms; `ArmEngines` do."""

    def engine(self, task: str, arm: Arm) -> Engine | None:
        """The engine of an arm; None: it can't be served, or not yet."""
        ...


class PlaceSplit:
    """Splits the requests of a place between the arms of the experiments that run."""

    def __init__(
        self,
        place: Place,
        running: Callable[[], Sequence[Experiment]],
        engines: ArmsOf,
        exposures: ExposureLog,
        shadows: Shadows,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """running: the experiments of this moment, the one that began first in front"""
        self._place = place
        self._running = running
        self._engines = engines
        self._exposures = exposures
        self._shadows = shadows
        self._clock = clock
        self._metrics = metrics

    def assign(self, request: Request, ensemble: str) -> AssignedArm | None:
        """The arm that answers; None: the request is in no experiment."""
        if self._place.is_named_by_sender and request.ensemble is not None:
            return None
        for experiment in self._running():
            if experiment.task == self._place.task and experiment.includes(
                ensemble, self._place.name
            ):
                return self._assigned(experiment, request)
        return None

    def note(
        self, assigned: AssignedArm, request: Request, response: Response, total_ms: float
    ) -> Response:
        """Record what an arm made of a request, and say in the response which arm answered it."""
        experiment, arm = assigned.experiment, assigned.arm
        error: str | None = None if response.error is None else response.error.type
        if assigned.engine.spec.digest != arm.manifest:
            error = NOT_SERVED
        elif response.manifest not in (None, arm.manifest):
            error = FAILED_OVER
        self._metrics.experiment_requests.labels(experiment.name, arm.name).inc()
        exposure = self._exposure(assigned, request, arm, total_ms)
        if error not in _NO_ANSWER:
            exposure = {**exposure, **_answer_of(response)}
        if error is not None:
            exposure |= {"status": "error", "error": error}
        self._exposures.note(exposure, request.position)
        if response.error is None:
            self._ask_shadows(assigned, request)
        answered = _arm_of(experiment, arm, response)
        if answered is None:
            return response
        return replace(response, experiment=ExperimentArm(experiment.name, answered))

    def _assigned(self, experiment: Experiment, request: Request) -> AssignedArm | None:
        control = self._engines.engine(experiment.task, experiment.control)
        if control is None:
            # Another version was promoted just now: an arm alone has nothing to be compared with.
            return None
        unit = unit_of(experiment, request.key, request.id)
        arm = answering_arm(experiment, unit)
        engine = self._engines.engine(experiment.task, arm)
        return AssignedArm(experiment, arm, unit, engine or control)

    def _ask_shadows(self, assigned: AssignedArm, request: Request) -> None:
        experiment = assigned.experiment
        if not experiment.shadows:
            return

        def note(answer: ShadowAnswer) -> None:
            self._exposures.note(self._shadow_exposure(assigned, request, answer), None)

        for arm in shadow_arms(experiment, assigned.unit):
            engine = self._engines.engine(experiment.task, arm)
            if engine is not None:
                self._shadows.ask(experiment, arm, engine, request, note)

    def _shadow_exposure(
        self, assigned: AssignedArm, request: Request, answer: ShadowAnswer
    ) -> dict[str, Any]:
        arm, answered = answer.arm, answer.answered
        self._metrics.experiment_requests.labels(assigned.experiment.name, arm.name).inc()
        exposure = self._exposure(assigned, request, arm, answer.total_ms)
        if answered is None:
            exposure |= {"status": "error", "error": answer.error}
        else:
            found = answered.result
            exposure |= {
                "status": "ok" if found.is_complete else "partial",
                "queue_ms": round(answered.queue_ms, 3),
                "agreement": found.agreement,
                "label": _label_of(found.result),
            }
        return exposure

    def _exposure(
        self, assigned: AssignedArm, request: Request, arm: Arm, total_ms: float
    ) -> dict[str, Any]:
        experiment = assigned.experiment
        return {
            "group": experiment.group,
            "experiment": experiment.name,
            "started_ms": experiment.started_ms,
            "round": experiment.round,
            "arm": arm.name,
            "is_shadow": arm.is_shadow,
            "id": request.id,
            "unit": assigned.unit,
            "task": self._place.task,
            "place": self._place.name,
            "lane": self._place.lane.name.lower(),
            "length": length_of(characters_of(request)),
            "total_ms": round(total_ms, 3),
            "at_ms": self._clock.now_ms(),
        }


def _answer_of(response: Response) -> dict[str, Any]:
    return {
        "status": response.status,
        "queue_ms": None if response.timing is None else response.timing.queue_ms,
        "agreement": response.agreement,
        "label": _label_of(response.result),
    }


def _label_of(result: dict[str, Any] | None) -> Any:
    """What a classification answered; None of another task."""
    found = result or {}
    return found.get("labels", found.get("label"))


def _arm_of(experiment: Experiment, assigned: Arm, response: Response) -> str | None:
    """The arm that a response is of; None: of none, as the version that serves stood in."""
    if response.manifest in (None, assigned.manifest):
        return assigned.name
    return next((arm.name for arm in experiment.arms if arm.manifest == response.manifest), None)
