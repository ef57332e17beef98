"""Which engine answers a request that is in an experiment, as the answerer sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from streamproc.messages.experiment import Arm, Experiment
from streamproc.messages.request import Request
from streamproc.messages.response import Response
from streamproc.serving.engine import Engine


@dataclass(frozen=True, slots=True)
class AssignedArm:
    """The arm of an experiment that a request belongs to, and the engine that answers for it.

    unit: what the request was assigned by
    engine: that of the control arm where this one can't be served
    """

    experiment: Experiment
    arm: Arm
    unit: str
    engine: Engine


class TrafficSplit(Protocol):
    """The experiments that requests of one topic, or of one route, may be in."""

    def assign(self, request: Request, ensemble: str) -> AssignedArm | None:
        """The arm that answers; None: the request is in no experiment.

        ensemble: that would answer it
        """
        ...

    def note(
        self, assigned: AssignedArm, request: Request, response: Response, total_ms: float
    ) -> Response:
        """Record what an arm made of a request, and say in the response which arm answered it.

        total_ms: until there was a response
        Where the arm was not able to answer, the response is another engine's.
        """
        ...
