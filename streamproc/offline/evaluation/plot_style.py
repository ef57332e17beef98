"""How plots look: one width, one typeface, colours that the colour-blind can tell apart."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle
from typing import Any

from matplotlib import style
from matplotlib.figure import Figure
from PIL import Image

from streamproc.offline.evaluation.systems import System

WIDTH_INCHES = 8.0
GREY, LIGHT_GREY = "#707070", "#d9d9d9"
# Okabe and Ito (2008); their yellow is too light for white paper.
_BY_ROLE = {
    "ensemble": {"color": "#0072B2", "marker": "o"},
    "strategy": {"color": "#8c8c8c", "marker": "o"},
    "other": {"color": "#D55E00", "marker": "X"},
}
_MEMBER_COLOURS = ("#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#000000")
_MEMBER_MARKERS = "s^vDP"
_STYLE: dict[str, Any] = {
    # The one that comes with matplotlib, so that a plot looks the same on every machine.
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.titlesize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#ececec",
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
    "legend.frameon": False,
}


def markers_of(systems: Sequence[System]) -> list[Mapping[str, str]]:
    """How each is drawn, on every plot the same; members are told apart by shape too."""
    pairs = zip(_MEMBER_COLOURS, _MEMBER_MARKERS, strict=True)
    members = cycle([{"color": color, "marker": marker} for color, marker in pairs])
    return [_BY_ROLE.get(one.role) or next(members) for one in systems]


@contextmanager
def styled_figure(height_inches: float) -> Iterator[Figure]:
    """A figure to draw on, as all look here."""
    with style.context(_STYLE):
        yield Figure((WIDTH_INCHES, height_inches), layout="constrained")


def png_of(figure: Figure) -> bytes:
    """The same bytes for the same figure.

    In 128 colours, enough for lines and letters, and a quarter of the bytes of true colour.
    """
    drawn, file = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=140)
    picture = Image.open(drawn).convert("RGB")
    picture.quantize(128, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()
