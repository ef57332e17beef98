"""Contenders compared on the same records: figures, differences, by agreement and by group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from streamproc.offline.evaluation.candidates import Candidate
from streamproc.offline.evaluation.eval_result import (
    Agreed,
    Agreement,
    AgreementGroup,
    Difference,
    EvalResult,
    EvalRun,
    Group,
    Row,
)
from streamproc.offline.evaluation.groups import Grouping
from streamproc.offline.evaluation.intervals import DRAWS, Estimate, Resamples
from streamproc.offline.evaluation.measures import CALIBRATION, Measure, summed_by_record
from streamproc.offline.evaluation.reliability import Reliability
from streamproc.types import FloatArray

# Beyond so many different values, agreement is shown in steps, full agreement apart.
_MOST_VALUES = 8
_STEPS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def compare(
    measures: Sequence[Measure],
    marks: Sequence[EvalRun],
    grouping: Grouping | None = None,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> EvalResult:
    """marks: the ensemble's first; grouping: of the same records"""
    records = len(marks[0].statistics[0])
    resamples = Resamples(records, draws, seed)
    contenders = [one.contender for one in marks]
    measured = _measured(measures, [one.statistics for one in marks], resamples)
    rows = [
        Row(
            one.contender,
            estimates,
            1000 * one.seconds / one.requests,
            one.errors,
            one.partial,
            _reliability(measures, one.statistics),
        )
        for one, estimates in zip(marks, measured.estimates(), strict=True)
    ]
    return EvalResult(
        tuple(measures),
        records,
        tuple(rows),
        _differences(measures, contenders, measured),
        _agreed(marks[0], draws, seed),
        grouping.by if grouping else "",
        tuple(_by_group(measures[0], marks, grouping, draws, seed)) if grouping else (),
    )


@dataclass(frozen=True, slots=True)
class _Measured:
    """values: (contenders, measures); drawn: (contenders, measures, draws)"""

    values: FloatArray
    drawn: FloatArray

    def estimates(self) -> list[tuple[Estimate, ...]]:
        """One a measure, for each contender."""
        return [
            tuple(map(Estimate.of, values.tolist(), drawn))
            for values, drawn in zip(self.values, self.drawn, strict=True)
        ]


def _measured(
    measures: Sequence[Measure], statistics: Sequence[Sequence[FloatArray]], resamples: Resamples
) -> _Measured:
    """statistics: for each contender, for each measure, (records, statistics)"""
    pairs = [list(zip(measures, own, strict=True)) for own in statistics]
    return _Measured(
        np.array([[measure.value(own) for measure, own in one] for one in pairs]),
        np.array([[measure.of_sums(resamples.sums(own)) for measure, own in one] for one in pairs]),
    )


def _differences(
    measures: Sequence[Measure], contenders: Sequence[Candidate], measured: _Measured
) -> tuple[Difference, ...]:
    values, drawn = measured.values, measured.drawn

    def less(name: str, beside: Sequence[str], value: FloatArray, draws: FloatArray) -> Difference:
        estimates = map(Estimate.of, (values[0] - value).tolist(), drawn[0] - draws)
        return Difference(name, tuple(beside), tuple(estimates))

    names = [one.name for one in contenders]
    members = [n for n, one in enumerate(contenders) if one.role == "member"]
    found = []
    if members:
        signs = np.array([1 if measure.higher_is_better else -1 for measure in measures])
        merit = np.nan_to_num(signs * values[members], nan=-np.inf)
        best = np.array(members)[merit.argmax(axis=0)]
        place = np.arange(len(measures))
        beside = [names[n] for n in best]
        found.append(less("best member", beside, values[best, place], drawn[best, place]))
        mean = values[members].mean(axis=0), drawn[members].mean(axis=0)
        found.append(less("mean member", ["all members"] * len(measures), *mean))
    for number, one in enumerate(contenders):
        if one.role == "other":
            beside = [one.name] * len(measures)
            found.append(less(one.name, beside, values[number], drawn[number]))
    return tuple(found)


def _reliability(
    measures: Sequence[Measure], statistics: Sequence[FloatArray]
) -> Reliability | None:
    if CALIBRATION not in measures:
        return None
    return Reliability.of(statistics[measures.index(CALIBRATION)])


def _by_group(
    measure: Measure, marks: Sequence[EvalRun], grouping: Grouping, draws: int, seed: int
) -> Iterator[Group]:
    contenders = [one.contender for one in marks]
    for number, name in enumerate(grouping.names):
        mine = grouping.numbers == number
        records = int(mine.sum())
        own = [[one.statistics[0][mine]] for one in marks]
        measured = _measured([measure], own, Resamples(records, draws, seed))
        estimates = tuple(estimate for (estimate,) in measured.estimates())
        yield Group(name, records, estimates, _differences([measure], contenders, measured))


def _agreed(marks: EvalRun, draws: int, seed: int) -> Agreed | None:
    found = marks.agreement
    if found is None or len(marks.contender.stored.manifest.members) < 2:
        return None
    groups = tuple(_by_agreement(found, draws, seed))
    return Agreed(found.items, found.measure, groups) if groups else None


def _by_agreement(found: Agreement, draws: int, seed: int) -> Iterator[AgreementGroup]:
    """Whole records are drawn: parts of one have much in common."""
    rounded = np.round(found.agreement, 6)
    values = np.unique(rounded[~np.isnan(rounded)])
    edges = [(value, value) for value in values.tolist()]
    if len(edges) > _MOST_VALUES:
        edges = [*pairwise(_STEPS), (1.0, 1.0)]
    for low, high in edges:
        mine = (rounded >= low) & ((rounded < high) | (rounded == low))
        if count := int(mine.sum()):
            there, record = np.unique(found.record[mine], return_inverse=True)
            own = summed_by_record(found.statistics[mine], record, len(there))
            value = found.measure.value(own)
            drawn = found.measure.of_sums(Resamples(len(there), draws, seed).sums(own))
            # Of a single record all draws are alike, which says nothing of how sure the figure is.
            alone = Estimate(value, np.nan, np.nan)
            estimate = Estimate.of(value, drawn) if len(there) > 1 else alone
            yield AgreementGroup(low, high, count, estimate)
