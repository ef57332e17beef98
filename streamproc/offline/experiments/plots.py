"""An experiment as a picture: what each look would have seen, and the difference by stratum."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from typing import Final

from matplotlib.axes import Axes

from streamproc.messages.experiment import Arm, Experiment, Outcome
from streamproc.offline.evaluation.plot_style import GREY, png_of, styled_figure
from streamproc.offline.experiments.confidence_sequence import Difference
from streamproc.offline.experiments.report import NAMES, ExperimentReport, shown_difference
from streamproc.offline.experiments.results import looks_of

# Okabe and Ito (2008), told apart by shape too.
_ARMS: Final = (
    ("#0072B2", "o"),
    ("#D55E00", "s"),
    ("#009E73", "^"),
    ("#CC79A7", "v"),
    ("#56B4E9", "D"),
    ("#E69F00", "P"),
    ("#000000", "X"),
)


def experiment_plot(report: ExperimentReport) -> tuple[str, bytes]:
    """A caption, and the picture as PNG."""
    decides = report.result.experiment.decides
    with styled_figure(3.6) as figure:
        looks, parts = figure.subplots(1, 2, width_ratios=(3, 2))
        _looks(looks, report)
        _parts(parts, report)
        png = png_of(figure)
    caption = (
        f"Each arm less the control in {NAMES[decides]}: left, the confidence sequence as it went, "
        "request by request, which is left at any look with the stated error rate; right, the "
        "last look over all requests, plain, and by lane and length."
    )
    return caption, png


def _drawn(experiment: Experiment) -> Iterator[tuple[Arm, str, str]]:
    """Each arm that is compared, with its colour and its marker."""
    for arm, (color, marker) in zip(experiment.challengers, cycle(_ARMS), strict=False):
        yield arm, color, marker


def _looks(axes: Axes, report: ExperimentReport) -> None:
    result = report.result
    decides = result.experiment.decides
    extent = 0.0
    for arm, color, _ in _drawn(result.experiment):
        looks = looks_of(result, arm)
        x = [look.requests for look in looks]
        value, low, high = (
            [shown_difference(decides, getattr(look.difference, name)) for look in looks]
            for name in ("value", "low", "high")
        )
        axes.plot(x, value, color=color, label=arm.name)
        axes.fill_between(x, low, high, color=color, alpha=0.18, linewidth=0)
        settled = [one for one in looks if one.difference.is_decided]
        if settled:
            axes.axvline(settled[0].requests, color=color, linestyle=":", linewidth=1)
        # The first looks know nothing, and would leave no room for the others.
        shown = slice(len(looks) // 2, None)
        extent = max([extent, *map(abs, low[shown]), *map(abs, high[shown])])
    axes.axhline(0, color=GREY, linewidth=0.9)
    axes.set_ylim(-1.05 * extent or -1, 1.05 * extent or 1)
    axes.set_xlabel("requests of the arm and the control that are compared")
    axes.set_ylabel(f"{NAMES[decides]}, less the control's")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=7)


def _parts(axes: Axes, report: ExperimentReport) -> None:
    result = report.result
    decides = result.experiment.decides
    names: list[str] = []
    for arm, color, marker in _drawn(result.experiment):
        rows: list[tuple[str, Difference]] = []
        for one in result.deciding():
            if one.arm == arm and arm.is_shadow:
                rows += [("in pairs", one.stratified)]
            elif one.arm == arm:
                rows += [("within strata", one.stratified), ("plain", one.plain)]
        rows += [
            (f"{one.stratum.lane} {one.stratum.length}", one.difference)
            for one in result.strata
            if one.arm == arm
        ]
        for name, difference in rows:
            _interval(axes, len(names), decides, difference, color, marker)
            names.append(name)
    axes.axvline(0, color=GREY, linewidth=0.9)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(max(len(names), 1) - 0.5, -0.5)
    axes.set_xlabel(f"{NAMES[decides]}, less the control's")


def _interval(
    axes: Axes, row: int, outcome: Outcome, difference: Difference, color: str, marker: str
) -> None:
    numbers = (difference.value, difference.low, difference.high)
    value, low, high = (shown_difference(outcome, number) for number in numbers)
    axes.plot([low, high], [row, row], color=color, linewidth=1.4)
    axes.plot([value], [row], color=color, marker=marker, markersize=5)
