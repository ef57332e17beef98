"""The figures as a picture: what answers cost, and how long a single request waits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.ticker import FuncFormatter

from benchmarks.peers.waiting import Waiting
from streamproc.offline.evaluation.plot_style import png_of, styled_figure

_BLUE, _ORANGE, _GREY = "#0072B2", "#E69F00", "#8c8c8c"


def peers_plot(figures: Mapping[str, Mapping[str, Any]], waited: Mapping[str, Waiting]) -> bytes:
    """PNG: the share of the ceiling by CPU, ours in blue; latencies alone and behind a backlog."""
    names = sorted(waited, key=lambda name: figures[name]["share_of_ceiling_by_cpu"] or 0)
    with styled_figure(3.6) as figure:
        shares, latencies = figure.subplots(1, 2)
        by_cpu = [figures[name]["share_of_ceiling_by_cpu"] or 0 for name in names]
        colours = [_BLUE if name.startswith("streamproc") else _GREY for name in names]
        shares.barh(names, by_cpu, color=colours)
        shares.axvline(1, color="#000000", linestyle="--", linewidth=0.9)
        shares.set_xlabel("of the ceiling's work by CPU, 1 is ONNX Runtime alone")
        rows = range(len(names))
        alone = [waited[name].idle.p99_ms for name in names]
        behind = [waited[name].behind.p99_ms for name in names]
        latencies.barh([row - 0.2 for row in rows], alone, 0.38, color=_BLUE, label="alone")
        latencies.barh(
            [row + 0.2 for row in rows], behind, 0.38, color=_ORANGE, label="behind others"
        )
        latencies.set_yticks(rows, labels=[""] * len(names))
        latencies.set_xscale("log")
        latencies.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        latencies.set_xlabel("one short request, p99, ms")
        latencies.legend(fontsize=7)
        return png_of(figure)
