"""Rates and quantiles over the last minute, out of counters and histograms."""

from __future__ import annotations

import bisect

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram

from streamproc.worker.metric_window import MetricWindow

BOUNDS = (0.01, 0.1, 1.0, 10.0)


def counter() -> Counter:
    return Counter("c", "counted", ("task", "status"), registry=CollectorRegistry())


def test_a_rate_is_of_the_window_and_forgets_what_was_before() -> None:
    counted = counter()
    window = MetricWindow([counted], 60)
    window.take(0.0)
    counted.labels("t", "ok").inc(600)
    window.take(10.0)
    assert window.per_s("c_total", task="t") == 60.0
    for second in range(20, 81, 10):
        counted.labels("t", "ok").inc(5)
        window.take(float(second))
    # Of the 600 none is left: they came before the last minute.
    assert window.seconds == 60.0
    assert window.per_s("c_total", task="t") == 0.5


def test_counts_are_told_apart_by_a_label_and_summed_over_the_others() -> None:
    counted = counter()
    window = MetricWindow([counted], 60)
    for task, status, count in (("a", "ok", 3), ("a", "error", 2), ("b", "ok", 5), ("b", "x", 0)):
        counted.labels(task, status).inc(count)
    window.take(0.0)
    assert window.totals("c_total", "status", task="a") == {"ok": 3, "error": 2}
    assert window.totals("c_total", "status") == {"ok": 8, "error": 2}
    assert window.total("c_total", task="b") == 5


def test_before_the_first_and_the_second_time_there_is_nothing_to_tell() -> None:
    window = MetricWindow([counter()], 60)
    assert (window.seconds, window.per_s("c_total"), window.total("c_total")) == (0, 0, 0)
    window.take(1.0)
    assert (window.seconds, window.per_s("c_total")) == (0, 0)


@given(
    before=st.lists(st.floats(0, 9.9), max_size=20),
    seen=st.lists(st.floats(0, 9.9), min_size=1, max_size=50),
    share=st.floats(0.01, 1.0),
)
def test_a_quantile_lies_in_the_bucket_of_the_value_that_it_stands_for(
    before: list[float], seen: list[float], share: float
) -> None:
    timed = Histogram("h", "timed", ("of",), buckets=BOUNDS, registry=CollectorRegistry())
    window = MetricWindow([timed], 60)
    for value in before:
        timed.labels("x").observe(value)
    window.take(0.0)
    for value in seen:
        timed.labels("x").observe(value)
    window.take(1.0)
    (found,) = window.quantiles("h", share, of="x")
    rank = next(n for n in range(1, len(seen) + 1) if n >= share * len(seen))
    bucket = bisect.bisect_left(BOUNDS, sorted(seen)[rank - 1])
    lower = BOUNDS[bucket - 1] if bucket else 0.0
    assert found is not None
    assert lower <= found <= BOUNDS[bucket] + 1e-9


def test_what_lies_beyond_the_last_bound_is_given_as_that_bound() -> None:
    timed = Histogram("h", "timed", buckets=BOUNDS, registry=CollectorRegistry())
    window = MetricWindow([timed], 60)
    window.take(0.0)
    timed.observe(500)
    window.take(1.0)
    assert window.quantiles("h", 0.5, 0.9) == [BOUNDS[-1], BOUNDS[-1]]


@pytest.mark.parametrize("name", ["h", "unknown"])
def test_of_nothing_there_is_no_quantile(name: str) -> None:
    timed = Histogram("h", "timed", buckets=BOUNDS, registry=CollectorRegistry())
    window = MetricWindow([timed], 60)
    window.take(0.0)
    assert window.quantiles(name, 0.5) == [None]
