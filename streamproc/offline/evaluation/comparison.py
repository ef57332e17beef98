"""Systems compared on the same records: figures, differences, by agreement and by group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from streamproc.offline.evaluation.eval_metrics import Metric, summed_by_record
from streamproc.offline.evaluation.groups import Grouping
from streamproc.offline.evaluation.intervals import DRAWS, Estimate, Resamples
from streamproc.offline.evaluation.results import AGREEMENT, EvalResults, EvalRun, ResultRow
from streamproc.offline.evaluation.systems import System
from streamproc.types import BoolArray, FloatArray

# Beyond so many different values, agreement is shown in steps, full agreement apart.
_MOST_VALUES = 8
_STEPS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def compare(
    metrics: Sequence[Metric],
    runs: Sequence[EvalRun],
    grouping: Grouping | None = None,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> EvalResults:
    """The results of all records, by agreement, and the first metric's by group.

    runs: the ensemble's first; grouping: of the same records
    """
    every = np.full(len(runs[0].statistics[0]), fill_value=True)
    rows = list(_measure(metrics, runs, every, draws, seed))
    rows += _by_agreement(runs[0], draws, seed)
    if grouping:
        for number, name in enumerate(grouping.names):
            mine = grouping.numbers == number
            rows += _measure(metrics[:1], runs, mine, draws, seed, by=grouping.by, group=name)
    return EvalResults(tuple(metrics), tuple(runs), tuple(rows), grouping.by if grouping else "")


def _measure(
    metrics: Sequence[Metric],
    runs: Sequence[EvalRun],
    mine: BoolArray,
    draws: int,
    seed: int,
    *,
    by: str = "",
    group: str = "",
) -> Iterator[ResultRow]:
    """Every metric of every system, then the ensemble's less others', on the same draws.

    mine: (records,) which of them are measured
    """
    count = int(mine.sum())
    resamples = Resamples(count, draws, seed)
    own = [
        [(metric, counted[mine]) for metric, counted in zip(metrics, run.statistics, strict=False)]
        for run in runs
    ]
    values = np.array([[metric.value(counted) for metric, counted in one] for one in own])
    drawn = np.array(
        [[metric.of_sums(resamples.sums(counted)) for metric, counted in one] for one in own]
    )
    systems = [run.system for run in runs]
    for system, value, draw in zip(systems, values.tolist(), drawn, strict=True):
        for metric, figure in zip(metrics, map(Estimate.of, value, draw), strict=True):
            yield ResultRow(system, metric, figure, count, by=by, group=group)
    for minus, names, value, draw in _subtracted(metrics, systems, values, drawn):
        figures = map(Estimate.of, (values[0] - value).tolist(), drawn[0] - draw)
        for metric, name, figure in zip(metrics, names, figures, strict=True):
            yield ResultRow(systems[0], metric, figure, count, minus, name, by, group)


def _subtracted(
    metrics: Sequence[Metric], systems: Sequence[System], values: FloatArray, drawn: FloatArray
) -> Iterator[tuple[str, Sequence[str], FloatArray, FloatArray]]:
    """What is subtracted from the ensemble: its name, that of the system for each metric, figures.

    values: (systems, metrics); drawn: (systems, metrics, draws)
    """
    if members := [n for n, one in enumerate(systems) if one.role == "member"]:
        signs = np.array([1 if metric.higher_is_better else -1 for metric in metrics])
        merit = np.nan_to_num(signs * values[members], nan=-np.inf)
        best = np.array(members)[merit.argmax(axis=0)]
        place = np.arange(len(metrics))
        names = [systems[n].name for n in best]
        yield "best member", names, values[best, place], drawn[best, place]
        mean = values[members].mean(axis=0), drawn[members].mean(axis=0)
        yield "mean member", ["all members"] * len(metrics), *mean
    for n, one in enumerate(systems):
        if one.role == "other":
            yield one.name, [one.name] * len(metrics), values[n], drawn[n]


def _by_agreement(run: EvalRun, draws: int, seed: int) -> Iterator[ResultRow]:
    """The ensemble's items by how far its members agree; none of a single member.

    Whole records are drawn: parts of one have much in common.
    """
    found = run.agreement
    if found is None or len(run.system.stored.manifest.members) < 2:
        return
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
            value = found.metric.value(own)
            # Of a single record all draws are alike, which says nothing of how sure the figure is.
            estimate = Estimate(value, np.nan, np.nan)
            if len(there) > 1:
                sums = Resamples(len(there), draws, seed).sums(own)
                estimate = Estimate.of(value, found.metric.of_sums(sums))
            group = (
                f"{100 * low:.0f} %" if low == high else f"{100 * low:.0f} to {100 * high:.0f} %"
            )
            yield ResultRow(run.system, found.metric, estimate, count, by=AGREEMENT, group=group)
