"""What a worker was seen to do under more load than it can bear: figures, and a picture of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

PHASES = ("before", "during", "after")


@dataclass(frozen=True, slots=True)
class Look:
    """What a worker holds at a moment.

    second: since the load began, below 0 before
    memory_mib: resident
    waiting: requests that have no response yet
    """

    second: float
    memory_mib: float
    waiting: int


@dataclass(frozen=True, slots=True)
class Latency:
    """How long one interactive request took, from its record's timestamp until it was answered."""

    second: float
    ms: int


def quantile(values: Sequence[int], share: float) -> int:
    """The value that so large a share of them does not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0


def by_phase(latencies: Sequence[Latency], load_s: float) -> dict[str, dict[str, int]]:
    """Quantiles before the load, while it lasts, and after it; load_s: how long that is."""
    found = {}
    for phase, (low, high) in zip(PHASES, ((-1e9, 0.0), (0.0, load_s), (load_s, 1e9)), strict=True):
        own = [one.ms for one in latencies if low <= one.second < high]
        found[f"interactive {phase}"] = {
            "asked": len(own),
            "p50_ms": quantile(own, 0.5),
            "p99_ms": quantile(own, 0.99),
            "most_ms": max(own, default=0),
        }
    return found


def memory_growth_mib(looks: Sequence[Look], load_s: float) -> float:
    """By how much memory grew from the middle third of the load to its last: medians."""
    parts = [
        [one.memory_mib for one in looks if load_s * low < one.second <= load_s * high]
        for low, high in ((1 / 3, 2 / 3), (2 / 3, 1))
    ]
    middle, last = (median(part) if part else 0.0 for part in parts)
    return last - middle


def draw(looks: Sequence[Look], latencies: Sequence[Latency], load_s: float, file: Path) -> None:
    """Memory, records that wait, and how long interactive requests took, over the run."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 7), layout="constrained")
    memory, waiting, latency = figure.subplots(3, 1, sharex=True)
    seconds = [one.second for one in looks]
    memory.plot(seconds, [one.memory_mib for one in looks])
    memory.set_ylabel("memory in MiB")
    waiting.plot(seconds, [one.waiting for one in looks])
    waiting.set_ylabel("requests that wait")
    latency.scatter([one.second for one in latencies], [one.ms for one in latencies], s=3)
    latency.set_ylabel("interactive, ms")
    latency.set_yscale("log")
    for axes in (memory, waiting):
        axes.set_ylim(bottom=0)
    for axes in (memory, waiting, latency):
        axes.axvspan(0, load_s, alpha=0.12)
    latency.set_xlabel("seconds since the load began")
    figure.savefig(file, dpi=150)
