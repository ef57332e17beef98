"""What the bound on dead letters lets pass, whatever comes in whatever order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.errors import TooManyFailed
from streamproc.messages.dead_letter_bound import DeadLetterBound
from streamproc.metrics import Metrics

ENDS = st.lists(st.sampled_from(["answered", "late", "bug"]), max_size=200)
BURSTS = st.integers(1, 20)
RATIOS = st.floats(0.05, 1.0)


def passed(bound: DeadLetterBound, ends: list[str]) -> list[str]:
    """What ended before the worker had to, of requests that end so one after another."""
    done: list[str] = []
    for end in ends:
        if end == "answered":
            bound.answered()
        else:
            try:
                bound.failed("late" if end == "late" else "bug")
            except TooManyFailed:
                return done
        done.append(end)
    return done


@given(ENDS, BURSTS, RATIOS)
def test_no_stretch_of_requests_has_more_dead_letters_than_the_burst(
    ends: list[str], burst: int, ratio: float
) -> None:
    bound = DeadLetterBound(burst, ratio, Metrics())
    done = passed(bound, ends)

    for first in range(len(done)):
        stretch = done[first : first + bound.window]
        assert sum(end != "answered" for end in stretch) <= burst


@given(ENDS, BURSTS, RATIOS)
def test_it_is_reached_only_by_more_than_the_burst_and_more_than_the_share(
    ends: list[str], burst: int, ratio: float
) -> None:
    bound = DeadLetterBound(burst, ratio, Metrics())
    done = passed(bound, ends)
    if len(done) == len(ends):
        return

    stretch = [*done, ends[len(done)]][-bound.window :]
    failed = sum(end != "answered" for end in stretch)
    assert failed == burst + 1
    assert failed / bound.window > ratio * burst / (burst + 2)


@given(BURSTS, RATIOS, st.integers(1, 400))
def test_where_everything_fails_the_burst_is_all_that_is_lost(
    burst: int, ratio: float, requests: int
) -> None:
    bound = DeadLetterBound(burst, ratio, Metrics())

    assert len(passed(bound, ["bug"] * requests)) == min(burst, requests)


@given(BURSTS, RATIOS, st.integers(1, 20))
def test_a_share_below_the_ratio_never_reaches_it(burst: int, ratio: float, rounds: int) -> None:
    bound = DeadLetterBound(burst, ratio, Metrics())
    # A burst at most in any stretch as long as the window, spread as it may be.
    stretch = ["late"] * burst + ["answered"] * (bound.window - burst)

    assert len(passed(bound, stretch * rounds)) == len(stretch) * rounds


@given(ENDS, RATIOS)
def test_without_a_burst_there_is_no_bound(ends: list[str], ratio: float) -> None:
    assert passed(DeadLetterBound(0, ratio, Metrics()), ends) == ends


@given(BURSTS, RATIOS, st.integers(1, 50))
def test_once_reached_it_stays_reached_whatever_is_answered_meanwhile(
    burst: int, ratio: float, answered: int
) -> None:
    metrics = Metrics()
    bound = DeadLetterBound(burst, ratio, metrics)
    passed(bound, ["bug"] * (burst + 1))
    for _ in range(answered):
        bound.answered()

    with pytest.raises(TooManyFailed, match=f"internal errors: {burst + 1}"):
        bound.failed("late")
    counted = {
        reason: metrics.registry.get_sample_value(
            "streamproc_worker_failures_total", {"reason": reason}
        )
        for reason in ("bug", "late", "held")
    }
    assert counted == {"bug": burst, "late": 0, "held": 2}
