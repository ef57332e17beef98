"""Exposures of one experiment joined with the truth, as columns."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, get_args

import numpy as np

from streamproc.messages.experiment import Experiment
from streamproc.messages.exposure import FAILED_OVER, NOT_SERVED, Exposure, Length
from streamproc.messages.feedback import Feedback
from streamproc.types import BoolArray, FloatArray, Int64Array


class Stratum(NamedTuple):
    """What requests are alike in, so that arms are compared within it.

    round: of the experiment's weights, as another share of the requests at another time is a mix
        of times
    """

    task: str
    lane: str
    length: Length
    round: int

    @property
    def order(self) -> tuple[int, str, str, int]:
        """Strata are told in this one."""
        return self.round, self.task, self.lane, get_args(Length).index(self.length)


class TimedFeedback(NamedTuple):
    """Feedback, and where on the topic it stood: later ones count."""

    order: tuple[int, int, int]
    feedback: Feedback


@dataclass(frozen=True, slots=True)
class Observations:
    """A row for each request and arm that it was exposed to, in the order of time.

    arms: numbers of arms; units: numbers of keys; strata: numbers of `names_of_strata`
    ids: numbers of requests, the same for all arms that were asked about one
    errors: whether it ended as an error; types: how many did, by arm and type
    log_ms: of the response time; NaN: an error, or not known
    values: how right the answer was, 0 to 1; NaN: no truth is known, or it can't be compared
    agreement: of the members; NaN: not known
    labels: numbers of what was answered; -1: no label
    not_served: requests that the control arm answered in the place of another, by that arm
    """

    arms: Int64Array
    ids: Int64Array
    units: Int64Array
    strata: Int64Array
    names_of_strata: list[Stratum]
    at_ms: Int64Array
    errors: BoolArray
    types: Mapping[str, Counter[str]]
    log_ms: FloatArray
    values: FloatArray
    agreement: FloatArray
    labels: Int64Array
    not_served: Counter[str]
    feedback: FeedbackCounts

    def __len__(self) -> int:
        return len(self.arms)


@dataclass(frozen=True, slots=True)
class FeedbackCounts:
    """What became of feedback since the experiment began.

    ids: requests that it is about; joined: of these, exposed to an arm
    unexposed: about requests that were in no arm, or whose exposure is not there any more
    not_compared: joined, and neither right nor wrong, as the answer has no label
    unreadable: records that are no feedback
    """

    ids: int = 0
    joined: int = 0
    unexposed: int = 0
    not_compared: int = 0
    unreadable: int = 0


class _Row(NamedTuple):
    arm: int
    unit: int
    stratum: int
    at_ms: int
    error: str | None
    total_ms: float | None
    agreement: float | None
    label: str | tuple[str, ...] | None


@dataclass(slots=True)
class ExposureTable:
    """The exposures of one run of an experiment; of a request and an arm, the first counts."""

    experiment: Experiment
    _rows: dict[tuple[str, bool, int], _Row] = field(default_factory=dict)
    _strata: dict[Stratum, int] = field(default_factory=dict)
    _not_served: dict[str, str] = field(default_factory=dict)

    def take(self, exposure: Exposure) -> None:
        """One record of the topic; those of other experiments are passed over."""
        own = self.experiment
        if (exposure.group, exposure.experiment, exposure.started_ms) != (
            own.group,
            own.name,
            own.started_ms,
        ):
            return
        arm = next((n for n, arm in enumerate(own.arms) if arm.name == exposure.arm), None)
        if arm is None:
            return
        if exposure.error == NOT_SERVED:
            self._not_served[exposure.id] = exposure.arm
            return
        # Whoever answers it a second time is the same arm, unless weights were changed meanwhile.
        key = exposure.id, exposure.is_shadow, arm if exposure.is_shadow else -1
        before = self._rows.get(key)
        if before is not None and before.at_ms <= exposure.at_ms:
            return
        stratum = Stratum(exposure.task, exposure.lane, exposure.length, exposure.round)
        label = tuple(exposure.label) if isinstance(exposure.label, list) else exposure.label
        self._rows[key] = _Row(
            arm,
            int(exposure.unit, 16) - 2**63,
            self._strata.setdefault(stratum, len(self._strata)),
            exposure.at_ms,
            exposure.error,
            exposure.total_ms,
            exposure.agreement,
            label,
        )

    def observations(
        self, feedback: Mapping[str, TimedFeedback], unreadable: int = 0
    ) -> Observations:
        """All of them, with what turned out to be true. feedback: the last of each request's id"""
        ordered = sorted(self._rows.items(), key=lambda item: item[1].at_ms)
        rows = [row for _, row in ordered]
        ids: dict[str, int] = {}
        numbers = [ids.setdefault(key[0], len(ids)) for key, _ in ordered]
        labels: dict[object, int] = {}
        types: dict[str, Counter[str]] = {arm.name: Counter() for arm in self.experiment.arms}
        for row in rows:
            if row.error is not None:
                types[self.experiment.arms[row.arm].name][row.error] += 1
        values = [_value(row, feedback.get(key[0])) for key, row in ordered]
        joined = feedback.keys() & ids.keys()
        known = {
            key[0] for (key, _), value in zip(ordered, values, strict=True) if value is not None
        }
        return Observations(
            arms=np.array([row.arm for row in rows], np.int64),
            ids=np.array(numbers, np.int64),
            units=np.array([row.unit for row in rows], np.int64),
            strata=np.array([row.stratum for row in rows], np.int64),
            names_of_strata=list(self._strata),
            at_ms=np.array([row.at_ms for row in rows], np.int64),
            errors=np.array([row.error is not None for row in rows], np.bool_),
            types=types,
            log_ms=np.array([_log_ms(row) for row in rows], np.float64),
            values=_floats(values),
            agreement=_floats(row.agreement for row in rows),
            labels=np.array(
                [-1 if r.label is None else labels.setdefault(r.label, len(labels)) for r in rows],
                np.int64,
            ),
            not_served=Counter(self._not_served.values()),
            feedback=FeedbackCounts(
                ids=len(feedback),
                joined=len(joined),
                unexposed=len(feedback.keys() - ids.keys() - self._not_served.keys()),
                not_compared=len(joined - known),
                unreadable=unreadable,
            ),
        )


def _value(row: _Row, said: TimedFeedback | None) -> float | None:
    if said is None:
        return None
    # An answer that did not come is wrong; else an arm that fails on what is hard would look good.
    if row.error is not None:
        return 0.0 if row.error != FAILED_OVER else None
    label = list(row.label) if isinstance(row.label, tuple) else row.label
    return said.feedback.value_of(label)


def _log_ms(row: _Row) -> float:
    if row.error is not None or row.total_ms is None:
        return math.nan
    return math.log(max(row.total_ms, 0.001))


def _floats(values: Iterable[float | None]) -> FloatArray:
    return np.array([math.nan if one is None else one for one in values], np.float64)
