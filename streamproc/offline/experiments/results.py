"""What an experiment has found: its arms, how they differ from the control, and what to beware."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from streamproc.messages.experiment import Arm, Experiment, Outcome
from streamproc.offline.experiments.comparing import (
    MIN_IN_STRATUM,
    Compared,
    paired_difference,
    plain_difference,
    stratified_difference,
)
from streamproc.offline.experiments.confidence_sequence import ALPHA, Difference
from streamproc.offline.experiments.observations import Observations, Stratum
from streamproc.types import BoolArray, FloatArray

OUTCOMES: Final[tuple[Outcome, ...]] = ("accuracy", "errors", "response-time")
LOOKS: Final = 60
"""Of the picture that shows what earlier looks would have seen."""


@dataclass(frozen=True, slots=True)
class ArmResult:
    """One arm by itself; shares are NaN where there is nothing that they are of.

    requests: it was exposed to; units: keys of these
    truths: requests whose truth is known
    p50_ms, p99_ms: response times of answers
    not_served: more requests that the control arm answered, as a worker could not load this one
    same_label: share of a shadow's answers that have the label of the answer that was given
    """

    arm: Arm
    requests: int
    units: int
    errors: Counter[str]
    error_share: float
    truths: int
    accuracy: float
    agreement: float
    p50_ms: float
    p99_ms: float
    not_served: int
    same_label: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """An arm less its control, in one outcome.

    plain: of all requests; stratified: within lanes, lengths and rounds; the second decides
    Of a shadow both are the same: of the requests that the control answered, in pairs.
    """

    arm: Arm
    outcome: Outcome
    plain: Difference
    stratified: Difference

    @property
    def is_decided(self) -> bool:
        """Whether there is a difference, at the stated error rate."""
        return self.stratified.is_decided

    @property
    def is_better(self) -> bool:
        """Whether the arm does better than its control, by the estimate."""
        return (self.stratified.value > 0) == (self.outcome == "accuracy")


@dataclass(frozen=True, slots=True)
class StratumResult:
    """An arm less its control among requests that are alike."""

    arm: Arm
    stratum: Stratum
    requests: tuple[int, int]
    difference: Difference


@dataclass(frozen=True, slots=True)
class Look:
    """What would have been seen after so many requests."""

    requests: int
    difference: Difference


@dataclass(frozen=True, slots=True)
class ExperimentResult:
    """Everything that a report shows.

    alpha: the error rate of all comparisons of the deciding outcome together
    """

    experiment: Experiment
    observations: Observations
    alpha: float
    arms: Sequence[ArmResult]
    comparisons: Sequence[Comparison]
    strata: Sequence[StratumResult]

    def deciding(self) -> list[Comparison]:
        """Those that say which arm is better."""
        own = self.experiment
        return [
            one
            for one in self.comparisons
            if one.outcome == own.decides and one.arm in own.challengers
        ]

    @property
    def winner(self) -> Arm | None:
        """The arm that is better than the others, at the stated error rate; None: not known yet.

        It is the control where all others are known to do worse than it.
        """
        decided = [one for one in self.deciding() if one.is_decided]
        better = [one for one in decided if one.is_better]
        if better:
            return max(better, key=lambda one: abs(one.stratified.value)).arm
        if len(decided) == len(self.experiment.challengers):
            return self.experiment.control
        return None


def result_of(
    experiment: Experiment, observations: Observations, alpha: float = ALPHA
) -> ExperimentResult:
    """All figures; alpha is shared by the arms that are compared with the control."""
    own_alpha = alpha / len(experiment.challengers)
    comparisons = [
        comparison
        for outcome in OUTCOMES
        for arm in experiment.arms[1:]
        if (comparison := _comparison(experiment, observations, arm, outcome, own_alpha))
    ]
    return ExperimentResult(
        experiment=experiment,
        observations=observations,
        alpha=alpha,
        arms=[_arm_result(experiment, observations, arm) for arm in experiment.arms],
        comparisons=comparisons,
        strata=[
            one
            for arm in experiment.answering[1:]
            for one in _strata(experiment, observations, arm, own_alpha)
        ],
    )


def looks_of(result: ExperimentResult, arm: Arm) -> list[Look]:
    """How the deciding difference of an arm has gone, request by request."""
    own, alpha = result.experiment, result.alpha / len(result.experiment.challengers)
    if arm.is_shadow:
        compared = _pairs(own, result.observations, arm)
    else:
        compared = _compared(own, result.observations, arm, own.decides)
    looks = []
    for end in np.unique(np.geomspace(20, max(20, len(compared.values)), LOOKS).astype(np.int64)):
        seen = compared.of(np.arange(len(compared.values)) < end)
        difference = (
            paired_difference(seen.values, seen.units, alpha)
            if arm.is_shadow
            else stratified_difference(seen, alpha)
        )
        if difference is not None:
            looks.append(Look(len(seen.values), difference))
    return looks


def values_of(observations: Observations, outcome: Outcome) -> FloatArray:
    """The figure of each request; NaN where it has none."""
    if outcome == "accuracy":
        return observations.values
    if outcome == "errors":
        return observations.errors.astype(np.float64)
    return observations.log_ms


def _rows_of(experiment: Experiment, observations: Observations, arm: Arm) -> BoolArray:
    return np.asarray(observations.arms == experiment.arms.index(arm), np.bool_)


def _compared(
    experiment: Experiment, observations: Observations, arm: Arm, outcome: Outcome
) -> Compared:
    values, treated = values_of(observations, outcome), _rows_of(experiment, observations, arm)
    rows = treated | _rows_of(experiment, observations, experiment.control)
    rows &= ~np.isnan(values)
    return Compared(
        values[rows],
        treated[rows],
        observations.units[rows],
        observations.strata[rows],
        are_shares=outcome != "response-time",
    )


def _comparison(
    experiment: Experiment, observations: Observations, arm: Arm, outcome: Outcome, alpha: float
) -> Comparison | None:
    if arm.is_shadow:
        # It is asked later, in the bulk lane, and only where there was an answer: neither how long
        # it takes nor how often it fails can be compared.
        pairs = _pairs(experiment, observations, arm)
        difference = None
        if outcome == "accuracy":
            difference = paired_difference(pairs.values, pairs.units, alpha)
        if difference is None:
            return None
        return Comparison(arm, outcome, difference, difference)
    compared = _compared(experiment, observations, arm, outcome)
    plain = plain_difference(compared, alpha)
    stratified = stratified_difference(compared, alpha)
    if plain is None or stratified is None:
        return None
    return Comparison(arm, outcome, plain, stratified)


def _pairs(experiment: Experiment, observations: Observations, arm: Arm) -> Compared:
    """What a shadow was right in, less what the control was, of the same requests."""
    own = _rows_of(experiment, observations, arm) & ~np.isnan(observations.values)
    control = _rows_of(experiment, observations, experiment.control)
    control &= ~np.isnan(observations.values)
    _, left, right = np.intersect1d(
        observations.ids[own], observations.ids[control], return_indices=True
    )
    differences = observations.values[own][left] - observations.values[control][right]
    return Compared(
        differences,
        np.ones(len(differences), np.bool_),
        observations.units[own][left],
        observations.strata[own][left],
        are_shares=False,
    )


def _arm_result(experiment: Experiment, observations: Observations, arm: Arm) -> ArmResult:
    rows = _rows_of(experiment, observations, arm)
    times = np.exp(observations.log_ms[rows & ~np.isnan(observations.log_ms)])
    p50, p99 = np.quantile(times, (0.5, 0.99)) if len(times) else (np.nan, np.nan)
    return ArmResult(
        arm=arm,
        requests=int(rows.sum()),
        units=len(np.unique(observations.units[rows])),
        errors=observations.types[arm.name],
        error_share=_mean(observations.errors[rows].astype(np.float64)),
        truths=int((~np.isnan(observations.values[rows])).sum()),
        accuracy=_mean(observations.values[rows]),
        agreement=_mean(observations.agreement[rows]),
        p50_ms=float(p50),
        p99_ms=float(p99),
        not_served=observations.not_served[arm.name],
        same_label=_same_label(experiment, observations, rows) if arm.is_shadow else np.nan,
    )


def _same_label(experiment: Experiment, observations: Observations, shadow: BoolArray) -> float:
    answering = [n for n, arm in enumerate(experiment.arms) if not arm.is_shadow]
    own = shadow & (observations.labels >= 0)
    given = np.isin(observations.arms, answering) & (observations.labels >= 0)
    _, left, right = np.intersect1d(
        observations.ids[own], observations.ids[given], return_indices=True
    )
    same = observations.labels[own][left] == observations.labels[given][right]
    return _mean(same.astype(np.float64))


def _strata(
    experiment: Experiment, observations: Observations, arm: Arm, alpha: float
) -> Iterator[StratumResult]:
    compared = _compared(experiment, observations, arm, experiment.decides)
    if len(np.unique(compared.strata)) < 2:
        return
    names = observations.names_of_strata
    for number in sorted(np.unique(compared.strata), key=lambda number: names[number].order):
        rows = np.asarray(compared.strata == number, np.bool_)
        treated = int(compared.is_treated[rows].sum())
        sizes = int(rows.sum()) - treated, treated
        difference = plain_difference(compared.of(rows), alpha)
        if min(sizes) >= MIN_IN_STRATUM and difference is not None:
            yield StratumResult(arm, names[number], sizes, difference)


def _mean(values: FloatArray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
