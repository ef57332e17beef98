"""Findings as plots: contenders, reliability, agreement, groups."""

from __future__ import annotations

import math
from collections.abc import Iterator
from textwrap import wrap
from typing import Any

from matplotlib.axes import Axes

from streamproc.offline.evaluation.canvas import (
    FAINT,
    QUIET,
    Marker,
    axis_title,
    canvas,
    draw_estimate,
    marks_of,
    png_of,
    scale_of,
)
from streamproc.offline.evaluation.eval_result import Agreed, EvalResult
from streamproc.offline.evaluation.formatting import shown, shown_agreement, titled
from streamproc.offline.evaluation.intervals import CONFIDENCE
from streamproc.offline.evaluation.measures import CALIBRATION, CALIBRATION_BINS
from streamproc.offline.evaluation.plot import Plot
from streamproc.offline.evaluation.provenance import Provenance
from streamproc.offline.evaluation.reliability import Reliability

_WHISKERS = f"whiskers are {CONFIDENCE:.0%} intervals"
# Reliability diagrams side by side.
_ABREAST = 4
# In a bin, too few for a share of them to mean much.
_FEW = 10
# That a line of a name may have.
_NAME_CHARACTERS = 26


def plots_of(findings: EvalResult, made: Provenance) -> Iterator[Plot]:
    """Those that there is something to be seen on."""
    yield _contenders(findings, made)
    if any(row.reliability for row in findings.rows):
        yield _reliability(findings, made)
    if findings.agreement:
        yield _agreement(findings, findings.agreement)
    if findings.groups:
        yield _groups(findings, made)


def _contenders(findings: EvalResult, made: Provenance) -> Plot:
    """A panel a measure, a line a contender."""
    rows, measures = findings.rows, findings.measures
    marks = marks_of([row.contender for row in rows])
    with canvas(1.1 + 0.32 * len(rows)) as figure:
        panels = figure.subplots(1, len(measures), sharey=True, squeeze=False)[0]
        for place, (axes, measure) in enumerate(zip(panels, measures, strict=True)):
            scale = scale_of(measure)
            axes.axvline(scale * rows[0].estimates[place].value, color=FAINT, linewidth=1)
            for line, (row, mark) in enumerate(zip(rows, marks, strict=True)):
                estimate = row.estimates[place]
                if math.isnan(estimate.value):
                    continue
                draw_estimate(axes, line, estimate, scale, mark)
                axes.annotate(
                    shown(measure, estimate.value),
                    (scale * estimate.value, line),
                    xytext=(0, 5),
                    textcoords="offset points",
                    ha="center",
                    fontsize=7,
                )
            axes.set_xlabel(axis_title(measure))
            axes.margins(x=0.12)
            axes.locator_params(axis="x", nbins=5)
            axes.grid(visible=False, axis="y")
            axes.tick_params(axis="y", length=0)
        panels[0].set_yticks(range(len(rows)), [_folded(titled(row.contender)) for row in rows])
        panels[0].set_ylim(len(rows) - 0.5, -0.7)
        caption = (
            f"Each contender's figures on {findings.records:,} {made.unit}; {_WHISKERS}, the "
            "vertical line is the ensemble."
        )
        return Plot("measures", caption, png_of(figure))


def _reliability(findings: EvalResult, made: Provenance) -> Plot:
    """A diagram a contender; other ways to combine are left to the tables."""
    place = findings.measures.index(CALIBRATION)
    every = zip(findings.rows, marks_of([row.contender for row in findings.rows]), strict=True)
    found = [
        (row, mark, row.reliability)
        for row, mark in every
        if row.reliability is not None and row.contender.role != "way"
    ]
    lines = math.ceil(len(found) / _ABREAST)
    columns = math.ceil(len(found) / lines)
    with canvas(0.35 + 8.6 / max(columns, 3) * lines) as figure:
        panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
        for axes in panels.flat[len(found) :]:
            axes.set_visible(False)
        for axes in panels.flat[max(0, len(found) - columns) : len(found)]:
            # What is the lowest of its column, which the last line may not fill.
            axes.tick_params(labelbottom=True)
        for axes, (row, mark, own) in zip(panels.flat, found, strict=False):
            total = int(own.count.sum())
            width = 100 / CALIBRATION_BINS
            axes.bar(
                100 * own.confidence,
                100 * own.count / max(1, total),
                width=0.8 * width,
                color=FAINT,
            )
            axes.plot([0, 100], [0, 100], color=QUIET, linewidth=0.8, linestyle="--")
            _draw_reliability(axes, own, mark)
            axes.set_title(_folded(titled(row.contender)))
            error = shown(CALIBRATION, row.estimates[place].value)
            axes.annotate(
                f"error {error} %\nn = {total:,}",
                (0.04, 0.96),
                xycoords="axes fraction",
                va="top",
                fontsize=7.5,
            )
            axes.set(xlim=(0, 103), ylim=(0, 103), aspect="equal")
            axes.set(xticks=range(0, 101, 25), yticks=range(0, 101, 25))
        figure.supxlabel(f"confidence of {made.judged}, %", fontsize=8.5)
        figure.supylabel("right, %", fontsize=8.5)
        caption = (
            f"How many {made.judged} are right beside how confident they are, in "
            f"{CALIBRATION_BINS} bins; on the dashed line confidence means what it says. Grey "
            f"bars: the share of all {made.judged} in each bin. Hollow: bins of fewer than {_FEW}. "
            "Error: expected calibration error."
        )
        return Plot("calibration", caption, png_of(figure))


def _draw_reliability(axes: Axes, own: Reliability, mark: Marker) -> None:
    """A line through bins that hold enough; what is right in others is mostly chance."""
    few = own.count < _FEW
    confidence, right = 100 * own.confidence, 100 * own.right
    look: dict[str, Any] = {"color": mark.colour, "marker": mark.marker}
    axes.plot(confidence[~few], right[~few], **look, markersize=4, linewidth=1.4)
    axes.plot(confidence[few], right[few], **look, markersize=3, linestyle="", fillstyle="none")


def _agreement(findings: EvalResult, agreed: Agreed) -> Plot:
    """What the ensemble's answers are worth by how far its members agree on them."""
    measure, groups = agreed.measure, agreed.groups
    (mark,) = marks_of([findings.rows[0].contender])
    with canvas(2.6) as figure:
        axes = figure.subplots()
        for place, group in enumerate(groups):
            if math.isnan(group.estimate.value):
                continue
            draw_estimate(axes, place, group.estimate, scale_of(measure), mark, upright=True)
            axes.annotate(
                shown(measure, group.estimate.value),
                (place, scale_of(measure) * group.estimate.value),
                xytext=(7, 0),
                textcoords="offset points",
                va="center",
                fontsize=7.5,
            )
        names = [f"{shown_agreement(group)}\nn = {group.count:,}" for group in groups]
        axes.set_xticks(range(len(groups)), names)
        axes.set_xlim(-0.5, len(groups) - 0.5)
        axes.grid(visible=False, axis="x")
        axes.set_xlabel(f"weight of the members that agree with the answer; n {agreed.items}")
        axes.set_ylabel(axis_title(measure))
        caption = (
            f"{_sentence(measure.name)} of the ensemble by how far its members agree; {_WHISKERS}."
        )
        return Plot("agreement", caption, png_of(figure))


def _groups(findings: EvalResult, made: Provenance) -> Plot:
    """The first measure by group; other ways to combine are left to the tables."""
    first, groups = findings.measures[0], findings.groups
    contenders = [row.contender for row in findings.rows]
    drawn = [
        (place, one, mark)
        for place, (one, mark) in enumerate(zip(contenders, marks_of(contenders), strict=True))
        if one.role != "way"
    ]
    step = 0.7 / len(drawn)
    with canvas(1.0 + len(groups) * (0.22 + 0.12 * len(drawn))) as figure:
        axes = figure.subplots()
        for lane, (place, contender, mark) in enumerate(drawn):
            handle = None
            for number, group in enumerate(groups):
                estimate = group.estimates[place]
                if not math.isnan(estimate.value):
                    at = number + (lane - (len(drawn) - 1) / 2) * step
                    handle = draw_estimate(axes, at, estimate, scale_of(first), mark)
            if handle is not None:
                handle.set_label(titled(contender))
        for number in range(1, len(groups)):
            axes.axhline(number - 0.5, color=FAINT, linewidth=0.8)
        names = [f"{_folded(group.name)}\nn = {group.records:,}" for group in groups]
        axes.set_yticks(range(len(groups)), names)
        axes.set_ylim(len(groups) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(axis_title(first).replace("\n", " "))
        if axes.get_legend_handles_labels()[0]:
            figure.legend(loc="outside upper center", ncols=4)
        caption = f"{_sentence(first.name)} by {findings.by}; n {made.unit}; {_WHISKERS}."
        return Plot("groups", caption, png_of(figure))


def _folded(name: str) -> str:
    """In lines that leave room for the plot."""
    return "\n".join(wrap(name, _NAME_CHARACTERS))


def _sentence(name: str) -> str:
    """As it stands at the beginning of one."""
    return name[:1].upper() + name[1:]
