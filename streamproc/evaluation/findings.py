"""What was found out about each contender, and how far they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from streamproc.evaluation.contenders import Contender
from streamproc.evaluation.intervals import DRAWS, Estimate, Resamples
from streamproc.evaluation.measures import FloatArray, Measure

# Beyond so many different values, agreement is shown in steps, full agreement apart.
_MOST_VALUES = 8
_STEPS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True, slots=True)
class Marks:
    """What a contender's answers came to.

    statistics: for each measure, (records, statistics)
    seconds: for all requests, loading not counted
    errors, partial: how many requests got no answer, or one without all members
    agreement: (records,) of the members, NaN where it is not known
    """

    contender: Contender
    statistics: Sequence[FloatArray]
    seconds: float
    requests: int
    errors: int = 0
    partial: int = 0
    agreement: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A contender's figures, an estimate a measure."""

    contender: Contender
    estimates: tuple[Estimate, ...]
    seconds_per_1000: float
    errors: int
    partial: int


@dataclass(frozen=True, slots=True)
class Difference:
    """The ensemble less something else, measured on the same draws.

    beside: what else, one name a measure
    """

    name: str
    beside: tuple[str, ...]
    estimates: tuple[Estimate, ...]


@dataclass(frozen=True, slots=True)
class AgreementGroup:
    """Records on which members agree so far, from `low`, and below `high` where that is more.

    value: the first measure's, of these alone
    """

    low: float
    high: float
    records: int
    value: float


@dataclass(frozen=True, slots=True)
class Findings:
    """All of it; the first row is the ensemble's."""

    measures: tuple[Measure, ...]
    records: int
    rows: tuple[Row, ...]
    differences: tuple[Difference, ...]
    agreement: tuple[AgreementGroup, ...]


def compare(
    measures: Sequence[Measure], marks: Sequence[Marks], *, draws: int = DRAWS, seed: int = 0
) -> Findings:
    """marks: the ensemble's first"""
    records = len(marks[0].statistics[0])
    resamples = Resamples(records, draws, seed)
    values = [
        [measure.value(own) for measure, own in zip(measures, one.statistics, strict=True)]
        for one in marks
    ]
    drawn = [
        [
            measure.of_sums(resamples.sums(own))
            for measure, own in zip(measures, one.statistics, strict=True)
        ]
        for one in marks
    ]
    rows = [
        Row(
            one.contender,
            tuple(map(Estimate.of, own, own_drawn)),
            1000 * one.seconds / one.requests,
            one.errors,
            one.partial,
        )
        for one, own, own_drawn in zip(marks, values, drawn, strict=True)
    ]
    return Findings(
        tuple(measures),
        records,
        tuple(rows),
        tuple(_differences(measures, marks, np.array(values), np.array(drawn))),
        tuple(_by_agreement(measures[0], marks[0])),
    )


def _differences(
    measures: Sequence[Measure], marks: Sequence[Marks], values: FloatArray, drawn: FloatArray
) -> list[Difference]:
    """values: (contenders, measures); drawn: (contenders, measures, draws)"""

    def less(name: str, beside: Sequence[str], value: FloatArray, draws: FloatArray) -> Difference:
        estimates = map(Estimate.of, (values[0] - value).tolist(), drawn[0] - draws)
        return Difference(name, tuple(beside), tuple(estimates))

    names = [one.contender.name for one in marks]
    members = [n for n, one in enumerate(marks) if one.contender.role == "member"]
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
    for number, one in enumerate(marks):
        if one.contender.role == "other":
            name = names[number]
            found.append(less(name, [name] * len(measures), values[number], drawn[number]))
    return found


def _by_agreement(measure: Measure, marks: Marks) -> list[AgreementGroup]:
    """The first measure of records by how many members agree on them; none of a single member."""
    if marks.agreement is None or len(marks.contender.stored.manifest.members) < 2:
        return []
    rounded = np.round(marks.agreement, 6)
    values = np.unique(rounded[~np.isnan(rounded)])
    edges = [(value, value) for value in values.tolist()]
    if len(edges) > _MOST_VALUES:
        edges = [*pairwise(_STEPS), (1.0, 1.0)]
    groups = []
    for low, high in edges:
        mine = (rounded >= low) & ((rounded < high) | (rounded == low))
        if mine.any():
            value = measure.value(marks.statistics[0][mine])
            groups.append(AgreementGroup(low, high, int(mine.sum()), value))
    return groups
