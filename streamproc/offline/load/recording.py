"""What became of the requests of one step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from streamproc.errors import RequestError
from streamproc.messages.response import ExperimentArm
from streamproc.offline.load.latency import LatencyHistogram
from streamproc.offline.load.worker_use import WorkerUse

LATE: Final = "late"
"""An answer came, but after the time-out."""
UNANSWERED: Final = "unanswered"
"""Nothing came for as long as the step was waited for."""
UNSENT: Final = "unsent"
"""It was to be sent, and never was, as too many were on their way."""
_WITHOUT_END: Final = (LATE, UNANSWERED, UNSENT)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a response says of itself.

    version: the ensemble and the manifest that answered; "": it names none
    arm:     of the experiment that the request was in; None: it was in none
    error:   why there is no answer; None: there is one
    """

    version: str = ""
    arm: ExperimentArm | None = None
    error: RequestError | None = None


NO_REPLY: Final = Reply()


@dataclass(frozen=True, slots=True)
class Sample:
    """One request.

    intended_s: when it was to be sent, which decides its latency
    sent_s:     when it was sent, maybe later
    done_s:     when its answer came, or when nobody waited for it any more
    version, arm: as its reply has them
    error:      by its type; None: it was answered
    detail:     of the error
    """

    kind: str
    intended_s: float
    sent_s: float
    done_s: float
    version: str = ""
    arm: ExperimentArm | None = None
    error: str | None = None
    detail: str = ""


@dataclass(slots=True)
class Group:
    """Requests that have something in common.

    latency: from the intended moment to the answer. A request without an answer counts with the
        time that it was waited for, unless it was refused within the time-out: that is an error,
        and in no quantile
    """

    asked: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    latency: LatencyHistogram = field(default_factory=LatencyHistogram)

    @property
    def answered(self) -> int:
        """Requests that were answered in time."""
        return self.asked - self.errors.total()

    @property
    def error_share(self) -> float | None:
        """Of those that were asked, 0 to 1; None: none was."""
        return self.errors.total() / self.asked if self.asked else None

    def add(self, latency_s: float, error: str | None, *, counts: bool) -> None:
        """counts: whether its latency does"""
        self.asked += 1
        if error is not None:
            self.errors[error] += 1
        if counts:
            self.latency.record(latency_s)


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one step found.

    level:       requests a second that were to be sent, or users
    duration_s:  without what was before requests were counted
    completed_per_s: answers that came within these seconds
    all:         of all requests that were to be sent within them
    service:     from when requests were really sent
    send_delay:  by how much they were sent too late: what this program is at fault for
    kinds, versions, arms: the same, by task and lane, by the version that answered, and by the arm
        of an experiment; what no response came for is in none of the last two
    details:     of each type of error, what the first said
    own_cpu:     of one core, that this program used
    workers:     what each used
    """

    level: float
    duration_s: float
    completed_per_s: float
    all: Group
    service: LatencyHistogram
    send_delay: LatencyHistogram
    kinds: Mapping[str, Group]
    versions: Mapping[str, Group]
    arms: Mapping[ExperimentArm, Group]
    details: Mapping[str, str]
    own_cpu: float | None = None
    workers: Sequence[WorkerUse] = ()


class StepRecorder:
    """Takes the requests of one step, of which those before `begin_s` are not counted.

    begin_s, end_s: on the clock of the samples
    timeout_s:      an answer that takes longer, from the intended moment, is late
    """

    def __init__(self, begin_s: float, end_s: float, timeout_s: float) -> None:
        self.begin_s = begin_s
        self.end_s = end_s
        self._timeout_s = timeout_s
        self._completed = 0
        self._all = Group()
        self._service = LatencyHistogram()
        self._send_delay = LatencyHistogram()
        self._kinds: dict[str, Group] = {}
        self._versions: dict[str, Group] = {}
        self._arms: dict[ExperimentArm, Group] = {}
        self._details: dict[str, str] = {}

    def add(self, sample: Sample) -> None:
        """Count one request."""
        latency_s = sample.done_s - sample.intended_s
        error = sample.error
        if error is None and latency_s > self._timeout_s:
            error = LATE
        if sample.error is None and self.begin_s <= sample.done_s < self.end_s:
            self._completed += 1
        if not self.begin_s <= sample.intended_s < self.end_s:
            return
        counts = error is None or error in _WITHOUT_END or latency_s >= self._timeout_s
        groups = [self._all, self._kinds.setdefault(sample.kind, Group())]
        if sample.version:
            groups.append(self._versions.setdefault(sample.version, Group()))
        if sample.arm is not None:
            groups.append(self._arms.setdefault(sample.arm, Group()))
        for group in groups:
            group.add(latency_s, error, counts=counts)
        if sample.error is not None and sample.detail:
            self._details.setdefault(sample.error, sample.detail)
        if sample.error is None:
            self._service.record(sample.done_s - sample.sent_s)
        self._send_delay.record(sample.sent_s - sample.intended_s)

    def result(
        self, level: float, *, own_cpu: float | None = None, workers: Sequence[WorkerUse] = ()
    ) -> StepResult:
        """All that was counted."""
        duration_s = self.end_s - self.begin_s
        return StepResult(
            level=level,
            duration_s=duration_s,
            completed_per_s=self._completed / duration_s,
            all=self._all,
            service=self._service,
            send_delay=self._send_delay,
            kinds=dict(sorted(self._kinds.items())),
            versions=dict(sorted(self._versions.items())),
            arms=dict(sorted(self._arms.items(), key=lambda item: (item[0].name, item[0].arm))),
            details=dict(self._details),
            own_cpu=own_cpu,
            workers=workers,
        )
