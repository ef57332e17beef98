from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.serving.circuit_breaker import (
    FAILED_IN_A_ROW,
    LATE_IN_A_ROW,
    WAITS_S,
    CircuitBreaker,
)
from streamproc.testing import ManualClock


def build_breaker() -> tuple[CircuitBreaker, ManualClock]:
    clock = ManualClock()
    return CircuitBreaker("a", clock.monotonic_s), clock


def is_left_out(breaker: CircuitBreaker) -> bool:
    return breaker.left_out is not None


def late(breaker: CircuitBreaker) -> None:
    breaker.was_late()


def failed(breaker: CircuitBreaker) -> None:
    breaker.failed()


@pytest.mark.parametrize(
    ("happens", "in_a_row", "hangs"),
    [(late, LATE_IN_A_ROW, True), (failed, FAILED_IN_A_ROW, False)],
)
def test_a_member_is_left_out_after_so_many_in_a_row(
    happens: Callable[[CircuitBreaker], None], in_a_row: int, hangs: bool
) -> None:
    breaker, _ = build_breaker()

    for _ in range(in_a_row - 1):
        happens(breaker)
    breaker.passed()
    for _ in range(in_a_row - 1):
        happens(breaker)
    assert not is_left_out(breaker)
    happens(breaker)

    assert breaker.left_out is not None
    assert breaker.left_out.hangs is hangs
    assert str(breaker.left_out).startswith("member a is left out: it ")


def test_trials_are_one_at_a_time_and_ever_rarer() -> None:
    breaker, clock = build_breaker()
    breaker.open("fails on everything")

    for wait_s in (*WAITS_S, WAITS_S[-1], WAITS_S[-1]):
        if wait_s:
            clock.advance(wait_s - 0.01)
            assert not breaker.begin_trial()
            clock.advance(0.01)
        assert breaker.begin_trial()
        assert not breaker.begin_trial()
        breaker.trial_failed()
    assert breaker.left_out is not None


def test_a_member_that_was_taken_back_is_left_out_for_longer_by_one_more_late_batch() -> None:
    breaker, clock = build_breaker()
    breaker.open("was late", late=True)
    assert breaker.begin_trial()
    breaker.trial_passed()
    assert not is_left_out(breaker)

    breaker.was_late()

    assert is_left_out(breaker)
    assert not breaker.begin_trial()
    clock.advance(WAITS_S[1])
    assert breaker.begin_trial()


def test_a_result_of_a_batch_that_was_under_way_takes_it_back() -> None:
    breaker, _ = build_breaker()
    breaker.open("was late", late=True)

    breaker.passed()

    assert breaker.left_out is None
    assert not breaker.begin_trial()


def test_a_trial_that_outlives_its_cause_is_still_the_only_one() -> None:
    breaker, clock = build_breaker()
    breaker.open("was late", late=True)
    assert breaker.begin_trial()
    breaker.passed()

    breaker.open("was late", late=True)
    clock.advance(60)

    assert not breaker.begin_trial()
    breaker.trial_failed()
    clock.advance(60)
    assert breaker.begin_trial()


STEPS: dict[str, Callable[[CircuitBreaker], object]] = {
    "late": CircuitBreaker.was_late,
    "failed": CircuitBreaker.failed,
    "passed": CircuitBreaker.passed,
    "open": lambda breaker: breaker.open("fails on everything"),
}
TRIALS = ["begin a trial", "trial passes", "trial fails", "wait"]


@given(st.lists(st.sampled_from([*STEPS, *TRIALS]), max_size=60))
def test_whatever_happens_a_member_that_is_left_out_is_tried_again(steps: list[str]) -> None:
    breaker, clock = build_breaker()
    trying = False
    for step in steps:
        if step in STEPS:
            STEPS[step](breaker)
        elif step == "wait":
            clock.advance(3)
        elif step == "begin a trial":
            began = breaker.begin_trial()
            assert not (began and trying)
            trying = trying or began
        elif trying:
            (breaker.trial_passed if step == "trial passes" else breaker.trial_failed)()
            trying = False
    if breaker.left_out is not None and not trying:
        clock.advance(WAITS_S[-1])
        assert breaker.begin_trial()
