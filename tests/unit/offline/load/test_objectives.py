"""Objectives as they are written, and what keeps them."""

from __future__ import annotations

import pytest

from streamproc.errors import SettingsError
from streamproc.offline.load.objectives import broken, parse_objective
from streamproc.offline.load.recording import LATE, Sample, StepRecorder


def recorded(*samples: Sample) -> StepRecorder:
    recorder = StepRecorder(0.0, 10.0, timeout_s=5.0)
    for one in samples:
        recorder.add(one)
    return recorder


def test_limits_are_read_with_their_units() -> None:
    written = ["p99<=200ms", "p99.9 <= 1.5s", "mean<=50ms", "max<2s", "errors<=0.5%"]
    limits = [(one.what, one.percent, one.limit) for one in map(parse_objective, written)]

    assert limits == [
        ("p99", 99.0, 0.2),
        ("p99.9", 99.9, 1.5),
        ("mean", None, 0.05),
        ("max", None, 2.0),
        ("errors", None, 0.5),
    ]


@pytest.mark.parametrize(
    "written", ["p99", "p99<=200", "p99<=1%", "errors<=1s", "p101<=1s", "p99>=1s", "speed<=1s", ""]
)
def test_what_is_no_objective_is_refused(written: str) -> None:
    with pytest.raises(SettingsError):
        parse_objective(written)


def test_those_that_are_broken_are_told() -> None:
    step = recorded(
        *(Sample("k", n / 100, n / 100, n / 100 + 0.1) for n in range(98)),
        Sample("k", 2.0, 2.0, 2.01, error="invalid"),
        Sample("k", 3.0, 3.5, 9.0, version="v"),
    ).result(10.0)
    objectives = [parse_objective(one) for one in ("p50<=200ms", "max<=5s", "errors<=1%")]

    assert [one.written for one in broken(objectives, step)] == ["max<=5s", "errors<=1%"]
    assert step.all.errors == {"invalid": 1, LATE: 1}
    # What was refused at once is in no quantile; what came late is, from when it was to be sent.
    assert step.all.latency.count == 99
    assert step.all.latency.max_s == pytest.approx(6.0, rel=0.001)
    assert step.service.quantile_s(100) == pytest.approx(5.5, rel=0.001)
    assert step.send_delay.quantile_s(100) == pytest.approx(0.5, rel=0.001)
    assert step.versions["v"].asked == 1


def test_requests_of_the_warm_up_are_not_counted_but_their_answers_tell_the_speed() -> None:
    recorder = StepRecorder(2.0, 4.0, timeout_s=5.0)
    recorder.add(Sample("k", 1.0, 1.0, 3.0))
    recorder.add(Sample("k", 3.0, 3.0, 5.0))
    step = recorder.result(1.0)

    assert step.all.asked == 1
    assert step.completed_per_s == pytest.approx(0.5)


def test_where_nothing_was_asked_nothing_is_kept() -> None:
    step = recorded().result(1.0)

    assert broken([parse_objective("p99<=1s"), parse_objective("errors<=1%")], step)
