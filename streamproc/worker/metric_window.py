"""Rates and quantiles over the last minute, out of metrics that only ever count up."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from prometheus_client.metrics_core import Metric

Labels = frozenset[tuple[str, str]]
Samples = Mapping[str, Mapping[Labels, float]]
"""Values by the name of the sample, and its labels with their values."""


class Collected(Protocol):
    """A metric of `prometheus_client`."""

    def collect(self) -> Iterable[Metric]:
        """Its samples of this moment."""
        ...


class MetricWindow:
    """Samples of some metrics, taken now and then; what is older than the window is forgotten."""

    def __init__(self, metrics: Sequence[Collected], window_s: float) -> None:
        self._metrics = metrics
        self._window_s = window_s
        self._taken: deque[tuple[float, Samples]] = deque()

    def take(self, now_s: float) -> None:
        """Take the samples of this moment."""
        samples: dict[str, dict[Labels, float]] = {}
        for metric in self._metrics:
            for family in metric.collect():
                for sample in family.samples:
                    labels = frozenset(sample.labels.items())
                    samples.setdefault(sample.name, {})[labels] = sample.value
        self._taken.append((now_s, samples))
        # One older than the window stays, so that what is left covers all of it.
        while len(self._taken) > 2 and now_s - self._taken[1][0] >= self._window_s:
            self._taken.popleft()

    @property
    def seconds(self) -> float:
        """That the samples are apart; 0 before the second time."""
        return self._taken[-1][0] - self._taken[0][0] if self._taken else 0.0

    def totals(self, name: str, by: str, **labels: str) -> dict[str, int]:
        """The counts so far of samples with these labels, by the value of another."""
        found: dict[str, int] = {}
        for key, value in self._matching(-1, name, labels).items():
            of = dict(key)[by]
            found[of] = found.get(of, 0) + round(value)
        return {of: count for of, count in found.items() if count}

    def total(self, name: str, **labels: str) -> float:
        """The sum of the samples with these labels."""
        return sum(self._matching(-1, name, labels).values())

    def gained(self, name: str, **labels: str) -> float:
        """What it has grown by within the window."""
        return self.total(name, **labels) - sum(self._matching(0, name, labels).values())

    def per_s(self, name: str, **labels: str) -> float:
        """The same a second; 0 before the second time."""
        return self.gained(name, **labels) / self.seconds if self.seconds else 0.0

    def quantiles(self, name: str, *shares: float, **labels: str) -> list[float | None]:
        """Of a histogram, as Prometheus' `histogram_quantile` has it; None: nothing was observed.

        What lies beyond the last bound is given as that bound.
        """
        if not self.gained(f"{name}_count", **labels):
            return [None] * len(shares)
        before = self._buckets(0, name, labels)
        buckets = [
            (bound, count - before.get(bound, 0.0))
            for bound, count in sorted(self._buckets(-1, name, labels).items())
        ]
        return [_quantile(buckets, share) for share in shares]

    def _buckets(self, at: int, name: str, labels: Mapping[str, str]) -> dict[float, float]:
        found: dict[float, float] = {}
        for key, value in self._matching(at, f"{name}_bucket", labels).items():
            bound = float(dict(key)["le"])
            found[bound] = found.get(bound, 0.0) + value
        return found

    def _matching(self, at: int, name: str, labels: Mapping[str, str]) -> dict[Labels, float]:
        if not self._taken:
            return {}
        wanted = frozenset(labels.items())
        samples = self._taken[at][1].get(name, {})
        return {key: value for key, value in samples.items() if wanted <= key}


def _quantile(buckets: Sequence[tuple[float, float]], share: float) -> float:
    """buckets: each bound, rising, with the number of values up to it"""
    wanted = share * buckets[-1][1]
    lower, below = 0.0, 0.0
    for bound, count in buckets:
        if count >= wanted:
            if bound == float("inf") or count == below:
                return lower
            return lower + (bound - lower) * (wanted - below) / (count - below)
        lower, below = bound, count
    return lower
