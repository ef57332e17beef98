"""Quantiles of latencies, by ranks that are counted."""

from __future__ import annotations

import math

import pytest

from streamproc.offline.load.latency import LatencyHistogram

FAST_S, SLOW_S = 0.1, 1.0


def recorded(count: int, slow: int) -> LatencyHistogram:
    histogram = LatencyHistogram()
    for number in range(count):
        histogram.record(FAST_S if number < count - slow else SLOW_S)
    return histogram


@pytest.mark.parametrize("percent", [50.0, 90.0, 99.0, 99.9, 100.0])
@pytest.mark.parametrize("count", [1, 2, 6, 11, 100, 140, 160, 1_000, 1_400, 1_600, 10_000])
def test_a_quantile_is_what_so_many_per_cent_took_at_most(count: int, percent: float) -> None:
    # In thousandths, so that no float has a part in what is expected.
    most_slow = count - math.ceil(round(percent * 10) * count / 1000)

    found = recorded(count, most_slow).quantile_s(percent)
    assert found == pytest.approx(FAST_S, rel=0.001)
    if most_slow < count:
        assert recorded(count, most_slow + 1).quantile_s(percent) == pytest.approx(
            SLOW_S, rel=0.001
        )


def test_of_nothing_there_is_no_quantile() -> None:
    assert LatencyHistogram().quantile_s(99.0) is None
