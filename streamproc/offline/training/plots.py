"""A picture of a run: loss and metric of each member, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.ticker import MaxNLocator

from streamproc.offline.evaluation.plot_style import GREY, png_of, styled_figure
from streamproc.offline.training.log import read_log
from streamproc.offline.training.run_folder import SEED_MODEL, RunFolder
from streamproc.types import FloatArray

PICTURE = "training.png"
# The loss of a step is drawn as the mean of so large a share of an epoch around it.
_SMOOTHED_SHARE = 0.1


def draw(run: RunFolder, ensemble: str, parts: Sequence[str]) -> Path:
    """Write `training.png` into a run's folder; the same run gives the same picture.

    parts: the members, in order; the seed model is drawn too where there is one
    """
    curves = {part: _curve(run.member(part)) for part in (SEED_MODEL, *parts)}
    curves = {part: curve for part, curve in curves.items() if len(curve.ends)}
    few = len(curves) <= 10
    colours = colormaps["tab10" if few else "turbo"]
    with styled_figure(4.0) as figure:
        loss, metric = figure.subplots(1, 2)
        for number, (part, curve) in enumerate(curves.items()):
            colour: Any = colours(number if few else number / (len(curves) - 1))
            name = part
            if part == SEED_MODEL:
                colour, name = GREY, "seed model"
            dots: dict[str, Any] = {"color": colour, "marker": "o", "markersize": 4}
            loss.plot(curve.epochs, curve.loss, color=colour, linewidth=1, alpha=0.6)
            loss.plot(curve.ends, curve.validation, linestyle="--", **dots)
            metric.plot(curve.ends, curve.metric, label=name, **dots)
            at_best = curve.ends[curve.best], curve.metric[curve.best]
            metric.plot(*at_best, **{**dots, "markersize": 9}, fillstyle="none")
            metric.set_ylabel(curve.metric_name.replace("_", " "))
        loss.plot([], [], color=GREY, linewidth=1, alpha=0.6, label="training, smoothed")
        loss.plot([], [], color=GREY, marker="o", linestyle="--", label="validation")
        loss.set(title="Loss", ylabel="nats")
        metric.set_title("Validation (ring: the epoch that is kept)")
        for axes in (loss, metric):
            axes.set_xlabel("epochs")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            if axes.get_legend_handles_labels()[0]:
                axes.legend(ncols=1 + len(curves) // 12)
        figure.suptitle(f"Training of {ensemble}")
        path = run.path / PICTURE
        path.write_bytes(png_of(figure))
        return path


@dataclass(frozen=True, slots=True)
class _Curve:
    """What a member's log says.

    epochs, loss:             (steps,) of training, the loss smoothed
    ends, validation, metric: (epochs,) at the end of each; the metric is the first one
    best:                     index of the epoch that is kept
    """

    epochs: FloatArray
    loss: FloatArray
    ends: FloatArray
    validation: FloatArray
    metric: FloatArray
    metric_name: str
    best: int


def _curve(folder: Path) -> _Curve:
    # What was repeated after a kill is the same again: the last one stays.
    steps: dict[int, tuple[int, float]] = {}
    epochs: dict[int, dict[str, Any]] = {}
    for line in read_log(folder):
        if line["kind"] == "step":
            steps[line["step"]] = (line["epoch"], line["loss"])
        elif line["kind"] == "epoch":
            epochs[line["epoch"]] = line
    epoch_steps = max(1, sum(epoch == 1 for epoch, _ in steps.values()))
    losses = np.array([loss for _, loss in steps.values()])
    evaluated = [one["validation"] for one in epochs.values()]
    name = next(iter(evaluated[0]["metrics"])) if evaluated else ""
    return _Curve(
        np.array(list(steps)) / epoch_steps,
        _smoothed(losses, max(1, round(epoch_steps * _SMOOTHED_SHARE))),
        np.array(list(epochs)),
        np.array([one["loss"] for one in evaluated]),
        np.array([one["metrics"][name] for one in evaluated]),
        name,
        max((n for n, one in enumerate(epochs.values()) if one["best"]), default=0),
    )


def _smoothed(values: FloatArray, width: int) -> FloatArray:
    """The mean of the values around each, of fewer at both ends."""
    if not len(values):
        return values
    window = np.ones(min(width, len(values)))
    around = np.convolve(np.ones_like(values), window, "same")
    return np.asarray(np.convolve(values, window, "same") / around)
