"""How plots look: one width, one typeface, colours that the colour-blind can tell apart."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from streamproc.offline.evaluation.candidates import Candidate
from streamproc.offline.evaluation.intervals import Estimate
from streamproc.offline.evaluation.measures import Measure

WIDTH_INCHES = 8.0
QUIET, FAINT = "#707070", "#d9d9d9"
# Okabe and Ito (2008); their yellow is too light for white paper.
_ENSEMBLE, _WAY, _OTHER = "#0072B2", "#8c8c8c", "#D55E00"
_MEMBERS = ("#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#000000")
_MARKERS = "s^vDP"
_DPI = 140
# Enough for lines and letters, and a quarter of the bytes that true colour takes.
_COLOURS = 128
_STYLE: dict[str, Any] = {
    # The one that comes with matplotlib, so that a plot looks the same on every machine.
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.titlesize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": QUIET,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#ececec",
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
    "legend.frameon": False,
}


@dataclass(frozen=True, slots=True)
class Marker:
    """How a contender is drawn, on every plot the same."""

    colour: str
    marker: str


def marks_of(contenders: Sequence[Candidate]) -> list[Marker]:
    """One for each; members are told apart by shape too."""
    members = cycle([Marker(*pair) for pair in zip(_MEMBERS, _MARKERS, strict=True)])
    by_role = {
        "ensemble": Marker(_ENSEMBLE, "o"),
        "way": Marker(_WAY, "o"),
        "other": Marker(_OTHER, "X"),
    }
    return [by_role.get(one.role) or next(members) for one in contenders]


@contextmanager
def canvas(height_inches: float) -> Iterator[Figure]:
    """A figure to draw on, as all look here."""
    with style.context(_STYLE):
        yield Figure((WIDTH_INCHES, height_inches), layout="constrained")


def png_of(figure: Figure) -> bytes:
    """The same bytes for the same figure."""
    drawn, file = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=_DPI)
    picture = Image.open(drawn).convert("RGB")
    picture.quantize(_COLOURS, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()


def draw_estimate(
    axes: Axes, at: float, estimate: Estimate, scale: float, mark: Marker, *, upright: bool = False
) -> Any:
    """A dot at its value, a line as long as its interval; returns what a legend is made of.

    at: the place on the other axis; scale: what values are shown times
    """
    value, low, high = (scale * number for number in (estimate.value, estimate.low, estimate.high))
    arms = [[value - low], [high - value]]
    return axes.errorbar(
        [at] if upright else [value],
        [value] if upright else [at],
        yerr=arms if upright else None,
        xerr=None if upright else arms,
        fmt=mark.marker,
        color=mark.colour,
        markersize=5,
        linewidth=1.4,
    )


def scale_of(measure: Measure) -> float:
    """What its values are shown times."""
    return 100.0 if measure.per_cent else 1.0


def axis_title(measure: Measure) -> str:
    """Its name and unit, and which way is better where that is not the usual one."""
    unit = f", {measure.unit}" if measure.unit else ""
    return f"{measure.name}{unit}" + ("" if measure.higher_is_better else "\n(less is better)")
