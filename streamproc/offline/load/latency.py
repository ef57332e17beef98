"""Latencies in an HdrHistogram: three digits of any of them, from a microsecond to an hour."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from hdrh.histogram import HdrHistogram

LONGEST_S: Final = 3600.0
_DIGITS: Final = 3
_US: Final = 1e6


class LatencyHistogram:
    """Counts seconds; quantiles are exact to three digits.

    What is longer than an hour counts as an hour, what is shorter than a microsecond as one.
    """

    def __init__(self) -> None:
        self._histogram = HdrHistogram(1, round(LONGEST_S * _US), _DIGITS)

    @classmethod
    def merged(cls, several: Iterable[LatencyHistogram]) -> LatencyHistogram:
        """All latencies of several, as if they had been recorded in one."""
        merged = cls()
        for one in several:
            merged._histogram.add(one._histogram)  # noqa: SLF001 - of the same class
        return merged

    def record(self, seconds: float) -> None:
        """Count one latency."""
        microseconds = round(seconds * _US)
        self._histogram.record_value(min(max(microseconds, 1), round(LONGEST_S * _US)))

    @property
    def count(self) -> int:
        """How many were recorded."""
        return int(self._histogram.get_total_count())

    def quantile_s(self, percent: float) -> float | None:
        """Seconds that so many per cent took at most; None: nothing was recorded."""
        if not self.count:
            return None
        # The library rounds the rank to the nearest, so that of 160 requests it gives for p99 what
        # 158 took at most, which are fewer than 99 %. It is rounded up here, as HdrHistogram of
        # Java does; first to nine digits, as 99.9 % of 1,000 are a little more than 999 to a float.
        rank = math.ceil(round(percent * self.count / 100, 9))
        return float(self._histogram.get_value_at_percentile(100 * rank / self.count)) / _US

    @property
    def mean_s(self) -> float | None:
        """None: nothing was recorded."""
        return float(self._histogram.get_mean_value()) / _US if self.count else None

    @property
    def max_s(self) -> float | None:
        """None: nothing was recorded."""
        return self.quantile_s(100.0)

    def encoded(self) -> str:
        """All of it, in microseconds, in HdrHistogram's compressed form, in base64.

        Programs that know HdrHistogram can merge those of many runs.
        """
        return bytes(self._histogram.encode()).decode("ascii")
