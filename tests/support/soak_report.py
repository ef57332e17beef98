"""Whether what a process holds grows while it works: memory, handles, threads, requests behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

MEASURES: Final = {
    "memory_mib": "memory in MiB",
    "handles": "open files and connections",
    "threads": "threads",
    "behind": "requests behind",
}
MEMORY_MIB: Final = 16.0
MEMORY_SHARE: Final = 0.05
HANDLES: Final = 4
THREADS: Final = 1
BEHIND_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Sample:
    """What one worker holds at a moment.

    second: since the load began
    memory_mib: resident
    handles: open files and connections
    behind: requests sent by then that no response was stored for, of all workers
    """

    worker: int
    second: float
    memory_mib: float
    handles: int
    threads: int
    behind: int


@dataclass(frozen=True, slots=True)
class Growth:
    """Of one worker, from the middle third of a run to its last: the median of each.

    The first third is left out: caches fill, pools of memory find their size.
    """

    worker: int
    medians: dict[str, tuple[float, float]]

    def faults(self, rate: float) -> list[str]:
        """What grows, a clause each; rate: requests a second."""
        most = {
            "memory_mib": max(MEMORY_MIB, MEMORY_SHARE * self.medians["memory_mib"][0]),
            "handles": HANDLES,
            "threads": THREADS,
            "behind": max(self.medians["behind"][0], BEHIND_S * rate),
        }
        return [
            f"worker {self.worker}: {MEASURES[name]} grew from {before:.0f} to {after:.0f}"
            for name, (before, after) in self.medians.items()
            if after - before > most[name]
        ]


def growth(samples: Sequence[Sample]) -> list[Growth]:
    """Of each worker. Raises ValueError where a third of the run has no sample of it."""
    ends_s = max((sample.second for sample in samples), default=0.0)
    thirds = (ends_s / 3, ends_s * 2 / 3), (ends_s * 2 / 3, ends_s)
    found = []
    for worker in sorted({sample.worker for sample in samples}):
        own = [sample for sample in samples if sample.worker == worker]
        parts = [[one for one in own if low < one.second <= high] for low, high in thirds]
        if not all(parts):
            raise ValueError(f"a third of the run has no sample of worker {worker}")
        before, after = parts
        medians = {name: (_median(before, name), _median(after, name)) for name in MEASURES}
        found.append(Growth(worker, medians))
    return found


def draw(samples: Sequence[Sample], file: Path) -> None:
    """Each of them over the time of the run, a line for each worker."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 8), layout="constrained")
    plots = figure.subplots(len(MEASURES), 1, sharex=True)
    for axes, (name, title) in zip(plots, MEASURES.items(), strict=True):
        for worker in sorted({sample.worker for sample in samples}):
            own = [sample for sample in samples if sample.worker == worker]
            x = [sample.second / 60 for sample in own]
            axes.plot(x, [getattr(sample, name) for sample in own], label=f"worker {worker}")
        axes.set_ylim(bottom=0)
        axes.set_ylabel(title)
    plots[0].legend(loc="lower right", fontsize=8)
    plots[-1].set_xlabel("minutes")
    figure.savefig(file, dpi=150)


def _median(samples: Sequence[Sample], name: str) -> float:
    return float(median(getattr(sample, name) for sample in samples))


def table(grown: Sequence[Growth]) -> dict[str, dict[str, str]]:
    """The medians before and after, by worker."""
    return {
        f"worker {one.worker}": {
            name: f"{before:.0f} → {after:.0f}" for name, (before, after) in one.medians.items()
        }
        for one in grown
    }
