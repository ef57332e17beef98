"""The table of results as plots: systems, reliability, agreement, groups."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from streamproc.offline.evaluation.eval_metrics import CALIBRATION, CALIBRATION_BINS, Metric
from streamproc.offline.evaluation.formatting import shown
from streamproc.offline.evaluation.intervals import CONFIDENCE
from streamproc.offline.evaluation.plot_style import (
    GREY,
    LIGHT_GREY,
    markers_of,
    png_of,
    styled_figure,
)
from streamproc.offline.evaluation.provenance import Provenance
from streamproc.offline.evaluation.reliability import Reliability
from streamproc.offline.evaluation.result_tables import Plot
from streamproc.offline.evaluation.results import AGREEMENT, EvalResults, ResultRow
from streamproc.types import FloatArray

_WHISKERS = f"whiskers are {CONFIDENCE:.0%} intervals"
_DIAGRAMS_IN_A_LINE = 4
# With fewer in a bin, a share of them means little.
_FEW = 10
# In lines that leave room for the plot.
_wrapped = partial(fill, width=26)


def plots_of(results: EvalResults, provenance: Provenance) -> Iterator[Plot]:
    """Those that there is something to be seen on."""
    yield _systems(results, provenance)
    if results.reliability(results.runs[0]):
        yield _reliability(results, provenance)
    if results.select(AGREEMENT):
        yield _agreement(results)
    if results.by:
        yield _groups(results, provenance)


def _systems(results: EvalResults, provenance: Provenance) -> Plot:
    """A panel a metric, a line a system."""
    systems = [run.system for run in results.runs]
    with styled_figure(1.1 + 0.32 * len(systems)) as figure:
        panels = figure.subplots(1, len(results.metrics), sharey=True, squeeze=False)[0]
        for axes, metric in zip(panels, results.metrics, strict=True):
            rows = [row for row in results.select() if row.metric is metric]
            axes.axvline(_scaled(rows)[0, 0], color=LIGHT_GREY, linewidth=1)
            for line, (row, marker) in enumerate(zip(rows, markers_of(systems), strict=True)):
                text = {"xytext": (0, 5), "ha": "center", "fontsize": 7}
                _draw(axes, [line], [row], marker, text=text)
            axes.set_xlabel(_axis_title(metric))
            axes.margins(x=0.12)
            axes.locator_params(axis="x", nbins=5)
            _hide_lines(axes)
        panels[0].set_yticks(range(len(systems)), [_wrapped(one.title) for one in systems])
        panels[0].set_ylim(len(systems) - 0.5, -0.7)
        caption = (
            f"Each system's figures on {results.records:,} {provenance.unit}; {_WHISKERS}, the "
            "vertical line is the ensemble."
        )
        return Plot("measures", caption, png_of(figure))


def _reliability(results: EvalResults, provenance: Provenance) -> Plot:
    """A diagram a system; other ways to combine are left to the tables."""
    errors = [row for row in results.select() if row.metric is CALIBRATION]
    markers = markers_of([row.system for row in errors])
    drawn = [
        (row, marker, reliability)
        for row, marker, run in zip(errors, markers, results.runs, strict=True)
        if row.system.role != "strategy" and (reliability := results.reliability(run))
    ]
    lines = math.ceil(len(drawn) / _DIAGRAMS_IN_A_LINE)
    columns = math.ceil(len(drawn) / lines)
    with styled_figure(0.35 + 8.6 / max(columns, 3) * lines) as figure:
        grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
        panels = grid.ravel().tolist()
        for place, axes in enumerate(panels):
            axes.set_visible(place < len(drawn))
            # What is the lowest of its column, which the last line may not fill.
            axes.tick_params(labelbottom=place >= len(drawn) - columns)
        for axes, (row, marker, reliability) in zip(panels, drawn, strict=False):
            _draw_reliability(axes, reliability, marker)
            axes.set_title(_wrapped(row.system.title))
            total = int(reliability.count.sum())
            axes.annotate(
                f"error {shown(CALIBRATION, row.estimate.value)} %\nn = {total:,}",
                (0.04, 0.96),
                xycoords="axes fraction",
                va="top",
                fontsize=7.5,
            )
        items = provenance.confidence_of
        figure.supxlabel(f"confidence of {items}, %", fontsize=8.5)
        figure.supylabel("right, %", fontsize=8.5)
        caption = (
            f"How many {items} are right beside how confident they are, in {CALIBRATION_BINS} "
            "bins; on the dashed line confidence means what it says. Grey bars: the share of all "
            f"{items} in each bin. Hollow: bins of fewer than {_FEW}. "
            "Error: expected calibration error."
        )
        return Plot("calibration", caption, png_of(figure))


def _draw_reliability(axes: Axes, own: Reliability, marker: Mapping[str, str]) -> None:
    """A line through bins that hold enough; what is right in others is mostly chance."""
    share = 100 * own.count / max(1, own.count.sum())
    confidence, right = 100 * own.confidence, 100 * own.right
    axes.bar(confidence, share, width=0.8 * 100 / CALIBRATION_BINS, color=LIGHT_GREY)
    axes.plot([0, 100], [0, 100], color=GREY, linewidth=0.8, linestyle="--")
    few = own.count < _FEW
    look: dict[str, Any] = dict(marker)
    axes.plot(confidence[~few], right[~few], **look, markersize=4, linewidth=1.4)
    axes.plot(confidence[few], right[few], **look, markersize=3, linestyle="", fillstyle="none")
    ticks = range(0, 101, 25)
    axes.set(xlim=(0, 103), ylim=(0, 103), aspect="equal", xticks=ticks, yticks=ticks)


def _agreement(results: EvalResults) -> Plot:
    """What the ensemble's answers are worth by how far its members agree on them."""
    rows = results.select(AGREEMENT)
    metric = rows[0].metric
    (marker,) = markers_of([rows[0].system])
    with styled_figure(2.6) as figure:
        axes = figure.subplots()
        text = {"xytext": (7, 0), "va": "center", "fontsize": 7.5}
        _draw(axes, range(len(rows)), rows, marker, upright=True, text=text)
        axes.set_xticks(range(len(rows)), [f"{row.group}\nn = {row.n:,}" for row in rows])
        axes.set_xlim(-0.5, len(rows) - 0.5)
        axes.grid(visible=False, axis="x")
        axes.set_xlabel(f"weight of the members that agree with the answer; n {results.items}")
        axes.set_ylabel(_axis_title(metric))
        caption = (
            f"{_sentence(metric.name)} of the ensemble by how far its members agree; {_WHISKERS}."
        )
        return Plot("agreement", caption, png_of(figure))


def _groups(results: EvalResults, provenance: Provenance) -> Plot:
    """The first metric by group; other ways to combine are left to the tables."""
    first, rows = results.metrics[0], results.select(results.by)
    systems = [run.system for run in results.runs]
    drawn = [
        (system, marker)
        for system, marker in zip(systems, markers_of(systems), strict=True)
        if system.role != "strategy"
    ]
    groups = {row.group: row.n for row in rows}
    step = 0.7 / len(drawn)
    with styled_figure(1.0 + len(groups) * (0.22 + 0.12 * len(drawn))) as figure:
        axes = figure.subplots()
        for lane, (system, marker) in enumerate(drawn):
            places = [n + (lane - (len(drawn) - 1) / 2) * step for n in range(len(groups))]
            own = [row for row in rows if row.system is system]
            _draw(axes, places, own, marker, label=system.title)
        for number in range(1, len(groups)):
            axes.axhline(number - 0.5, color=LIGHT_GREY, linewidth=0.8)
        labels = [f"{_wrapped(group)}\nn = {n:,}" for group, n in groups.items()]
        # As they are: "$5 to $10" is no formula.
        axes.set_yticks(range(len(groups)), labels, parse_math=False)
        axes.set_ylim(len(groups) - 0.5, -0.5)
        _hide_lines(axes)
        axes.set_xlabel(_axis_title(first).replace("\n", " "))
        figure.legend(loc="outside upper center", ncols=4)
        caption = f"{_sentence(first.name)} by {results.by}; n {provenance.unit}; {_WHISKERS}."
        return Plot("groups", caption, png_of(figure))


def _draw(
    axes: Axes,
    places: Sequence[float],
    rows: Sequence[ResultRow],
    marker: Mapping[str, Any],
    *,
    upright: bool = False,
    label: str | None = None,
    text: Mapping[str, Any] | None = None,
) -> None:
    """A dot at each value, a line as long as its interval; undefined ones leave a gap.

    places: on the other axis; upright: which is the horizontal one
    text:   where and how values are written, if they are
    """
    value, low, high = _scaled(rows).T
    x, y = (places, value) if upright else (value, places)
    look: dict[str, Any] = {
        "fmt": marker["marker"],
        "color": marker["color"],
        "yerr" if upright else "xerr": [value - low, high - value],
        "markersize": 5,
        "linewidth": 1.4,
        "label": label,
    }
    axes.errorbar(x, y, **look)
    for row, *point in zip(rows, x, y, strict=True):
        if text and not math.isnan(row.estimate.value):
            shown_value = shown(row.metric, row.estimate.value)
            axes.annotate(shown_value, (point[0], point[1]), textcoords="offset points", **text)


def _scaled(rows: Sequence[ResultRow]) -> FloatArray:
    """(rows, 3) value, low and high as they are shown."""
    scale = np.array([[100 if row.metric.per_cent else 1] for row in rows])
    return scale * [(row.estimate.value, row.estimate.low, row.estimate.high) for row in rows]


def _hide_lines(axes: Axes) -> None:
    """Without what marks lines that have names."""
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)


def _axis_title(metric: Metric) -> str:
    """Its name and unit, and which way is better where that is not the usual one."""
    unit = f", {metric.unit}" if metric.unit else ""
    return f"{metric.name}{unit}" + ("" if metric.higher_is_better else "\n(less is better)")


def _sentence(name: str) -> str:
    """As it stands at the beginning of one."""
    return name[:1].upper() + name[1:]
