"""A picture of a run: loss and metric of each member, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from streamproc.offline.training.log import read_log
from streamproc.offline.training.run_folder import TRUNK, RunFolder

PICTURE = "training.png"
# The loss of a step is drawn as the mean of so many shares of an epoch around it.
_SMOOTHED_SHARE = 0.1


def draw(run: RunFolder, ensemble: str, parts: Sequence[str]) -> Path:
    """Write `training.png` into a run's folder; the same run gives the same picture.

    parts: the members, in order; the trunk is drawn too where there is one
    """
    curves = [_curve(run.member(part)) for part in (TRUNK, *parts)]
    shown = [
        (part, curve)
        for part, curve in zip((TRUNK, *parts), curves, strict=True)
        if len(curve.validation)
    ]
    figure = Figure(figsize=(11, 4.6), dpi=120, layout="constrained")
    loss, metric = figure.subplots(1, 2)
    colours = colormaps["tab10" if len(shown) <= 10 else "turbo"]
    for place, (part, curve) in enumerate(shown):
        colour = "0.45" if part == TRUNK else colours(_shade(place, len(shown)))
        name = "whole corpus (trunk)" if part == TRUNK else part
        loss.plot(curve.epochs, curve.loss, color=colour, lw=1, alpha=0.6)
        loss.plot(curve.ends, curve.validation, color=colour, lw=1.4, marker="o", ms=4, ls="--")
        metric.plot(curve.ends, curve.metric, color=colour, lw=1.6, marker="o", ms=4, label=name)
        best = curve.best
        metric.plot(curve.ends[best], curve.metric[best], "o", color=colour, ms=9, mfc="none")
    _axes(loss, "Loss", "nats")
    loss.plot([], [], color="0.2", lw=1, alpha=0.6, label="training, smoothed")
    loss.plot([], [], color="0.2", lw=1.4, marker="o", ms=4, ls="--", label="validation")
    loss.legend(frameon=False)
    named = shown[0][1].named.replace("_", " ") if shown else ""
    _axes(metric, "Validation (ring: the epoch that is kept)", named)
    if shown:
        metric.legend(frameon=False, ncols=1 + len(shown) // 12)
    figure.suptitle(f"Training of {ensemble}", fontweight="bold")
    path = run.path / PICTURE
    figure.savefig(path, metadata={"Software": None})
    return path


@dataclass(frozen=True, slots=True)
class _Curve:
    """What a member's log says.

    epochs, loss:             (steps,) of training, the loss smoothed
    ends, validation, metric: (epochs,) at the end of each; the metric is the first one
    named:                    what the metric is
    best:                     index of the epoch that is kept
    """

    epochs: np.ndarray[Any, Any]
    loss: np.ndarray[Any, Any]
    ends: np.ndarray[Any, Any]
    validation: np.ndarray[Any, Any]
    metric: np.ndarray[Any, Any]
    named: str
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
    a_pass = max(1, sum(epoch == 1 for epoch, _ in steps.values()))
    losses = np.array([loss for _, loss in steps.values()])
    judged = [one["judgement"] for one in epochs.values()]
    named = next(iter(judged[0]["metrics"])) if judged else ""
    return _Curve(
        np.array(list(steps)) / a_pass,
        _smoothed(losses, max(1, round(a_pass * _SMOOTHED_SHARE))),
        np.array(list(epochs)),
        np.array([one["loss"] for one in judged]),
        np.array([one["metrics"][named] for one in judged]),
        named,
        max((n for n, one in enumerate(epochs.values()) if one["best"]), default=0),
    )


def _smoothed(values: np.ndarray[Any, Any], width: int) -> np.ndarray[Any, Any]:
    """The mean of the values around each, of fewer at both ends."""
    if not len(values):
        return values
    window = np.ones(min(width, len(values)))
    around = np.convolve(np.ones_like(values), window, "same")
    return np.asarray(np.convolve(values, window, "same") / around)


def _shade(place: int, shown: int) -> float | int:
    return place if shown <= 10 else place / (shown - 1)


def _axes(axes: Axes, title: str, unit: str) -> None:
    axes.set_title(title)
    axes.set_xlabel("epochs")
    axes.set_ylabel(unit)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
