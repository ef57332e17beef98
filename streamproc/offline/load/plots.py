"""The steps as a picture: latency, errors, CPU and memory over the load."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import cycle
from typing import Final

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from streamproc.offline.evaluation.plot_style import GREY, LIGHT_GREY, png_of, styled_figure
from streamproc.offline.load.objectives import Objective
from streamproc.offline.load.recording import StepResult
from streamproc.offline.load.report import LoadReport

# Okabe and Ito (2008), told apart by shape too.
_LINES: Final = (
    (50.0, "#56B4E9", "o"),
    (90.0, "#009E73", "s"),
    (99.0, "#0072B2", "^"),
    (99.9, "#D55E00", "v"),
)
_WORKERS: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")


def load_plot(report: LoadReport) -> tuple[str, bytes]:
    """A caption, and the picture as PNG."""
    steps = sorted(report.steps, key=lambda step: step.level)
    has_workers = any(step.workers for step in steps)
    with styled_figure(6.4 if has_workers else 3.4) as figure:
        panels = figure.subplots(2 if has_workers else 1, 2, squeeze=False)
        _latency(panels[0][0], steps, report.plan.objectives)
        _answered(panels[0][1], steps, in_requests=report.plan.loop.unit != "users")
        if has_workers:
            _workers(panels[1][0], panels[1][1], steps)
        for axes in panels.ravel().tolist():
            axes.set_xlabel(report.plan.loop.unit)
            axes.set_xlim(left=0)
        caption = (
            f"Latency, and answered requests with errors, over {report.plan.loop.unit}"
            + (", and what each worker used of CPU and memory" if has_workers else "")
            + ". Dashed: objectives of latency."
        )
        return caption, png_of(figure)


def _latency(axes: Axes, steps: Sequence[StepResult], objectives: Sequence[Objective]) -> None:
    for percent, color, marker in _LINES:
        points = [
            (step.level, 1000 * value)
            for step in steps
            if (value := step.all.latency.quantile_s(percent)) is not None
        ]
        if points:
            x, y = zip(*points, strict=True)
            axes.plot(x, y, color=color, marker=marker, markersize=4, label=f"p{percent:g}")
    for one in objectives:
        if one.unit == "s":
            axes.axhline(1000 * one.limit, color=GREY, linestyle="--", linewidth=0.9)
            axes.annotate(
                one.written,
                (0.02, 1000 * one.limit),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                xytext=(0, 2),
                fontsize=7,
            )
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_ylabel("latency, ms")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=7)


def _answered(axes: Axes, steps: Sequence[StepResult], *, in_requests: bool) -> None:
    levels = [step.level for step in steps]
    if in_requests:
        axes.plot(levels, levels, color=LIGHT_GREY, linewidth=1, label="as many as are sent")
    rates = [step.completed_per_s for step in steps]
    axes.plot(levels, rates, color="#0072B2", marker="o", markersize=4, label="answered/s")
    axes.set_ylabel("answered, 1/s")
    _from_zero(axes)
    shares = axes.twinx()
    errors = [100 * (step.all.error_share or 0.0) for step in steps]
    shares.plot(levels, errors, color="#D55E00", marker="X", markersize=4, label="errors, %")
    shares.set_ylabel("errors, %")
    shares.set_ylim(0, max(1.0, *errors) * 1.1)
    shares.grid(visible=False)
    lines = [*axes.get_lines(), *shares.get_lines()]
    axes.legend(lines, [str(line.get_label()) for line in lines], fontsize=7, loc="upper left")


def _workers(cpu: Axes, memory: Axes, steps: Sequence[StepResult]) -> None:
    names = sorted({use.worker for step in steps for use in step.workers})
    for name, color in zip(names, cycle(_WORKERS), strict=False):
        uses = [(step.level, use) for step in steps for use in step.workers if use.worker == name]
        cores = [(level, use.cpu) for level, use in uses if use.cpu is not None]
        held = [
            (level, use.resident_bytes / 2**20)
            for level, use in uses
            if use.resident_bytes is not None
        ]
        for axes, points in ((cpu, cores), (memory, held)):
            if points:
                x, y = zip(*points, strict=True)
                axes.plot(x, y, color=color, marker="o", markersize=4, label=name)
    cpu.set_ylabel("CPU of each worker, cores")
    memory.set_ylabel("memory of each worker, MiB")
    for axes in (cpu, memory):
        _from_zero(axes)
    if 0 < len(names) <= len(_WORKERS):
        cpu.legend(fontsize=7)


def _from_zero(axes: Axes) -> None:
    """With room above the highest point."""
    highest = axes.dataLim.y1
    axes.set_ylim(0, 1.08 * highest if math.isfinite(highest) and highest > 0 else 1)
