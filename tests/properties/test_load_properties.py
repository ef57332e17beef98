"""Arrivals, histograms and stepping: what holds for every rate, seed and service."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.offline.load.arrivals import Arrival, Arrivals, Bursts, Even, Poisson, Replayed
from streamproc.offline.load.latency import LatencyHistogram
from streamproc.offline.load.mix import Mix, Text, parse_lengths, parse_mix
from streamproc.offline.load.objectives import parse_objective
from streamproc.offline.load.plan import ClosedLoop, LoadPlan, OpenLoop, run_plan
from streamproc.offline.load.recording import UNANSWERED, UNSENT, Reply
from streamproc.offline.load.stepping import Stepping, saturation_of
from tests.support.simulated_server import (
    MIX,
    OneAtATime,
    Stalling,
    one_step,
    open_step,
    step_times,
)
from tests.support.virtual_time import LoopClock, in_virtual_time

RATES = st.floats(0.01, 10_000)
SEEDS = st.integers(0, 2**32)
GENERATED = st.one_of(st.just(Poisson()), st.just(Even()), st.integers(1, 50).map(Bursts))


def times_of(arrivals: Arrivals, rate: float, seed: int, count: int) -> list[float]:
    made = arrivals.at_rate(rate, np.random.default_rng(seed))
    return [one.at_s for one in itertools.islice(made, count)]


@given(GENERATED, RATES, SEEDS)
def test_arrivals_never_go_back_and_are_decided_by_the_seed(
    arrivals: Arrivals, rate: float, seed: int
) -> None:
    times = times_of(arrivals, rate, seed, 1_500)

    assert times == sorted(times)
    assert times[0] >= 0
    assert times == times_of(arrivals, rate, seed, 1_500)


@given(GENERATED, RATES, SEEDS)
@settings(max_examples=30)
def test_so_many_requests_come_in_a_second_as_are_asked_for(
    arrivals: Arrivals, rate: float, seed: int
) -> None:
    count = 10_000
    events = count / getattr(arrivals, "size", 1)
    lasted_s = times_of(arrivals, rate, seed, count)[-1]

    # Six standard deviations of the mean of so many exponential gaps.
    assert lasted_s == pytest.approx(count / rate, rel=6 / math.sqrt(events))


@given(SEEDS)
@settings(max_examples=20)
def test_gaps_of_poisson_arrivals_are_as_spread_as_exponential_ones(seed: int) -> None:
    gaps = np.diff(times_of(Poisson(), 100.0, seed, 10_000))

    assert np.std(gaps) / np.mean(gaps) == pytest.approx(1.0, abs=0.1)
    assert np.mean(gaps > 0.01) == pytest.approx(math.exp(-1), abs=0.03)


@given(st.lists(st.floats(0, 1_000), min_size=1, max_size=50), st.floats(0.1, 1_000), RATES)
def test_a_trace_is_stretched_as_a_whole(later: list[float], last: float, rate: float) -> None:
    seconds = [0.0, *sorted(later), max(*later, 0.0) + last]
    trace = Replayed([Arrival(one) for one in seconds])
    played = times_of(trace, rate, 0, 1_000)

    assert len(played) == len(seconds)
    factor = trace.rate_per_s / rate
    assert played == pytest.approx([one * factor for one in seconds])
    assert (len(played) - 1) / played[-1] == pytest.approx(rate)


@given(st.lists(st.floats(0, 4_000), max_size=200), st.integers(0, 200))
@settings(max_examples=20)
def test_histograms_merge_as_if_all_had_been_recorded_in_one(
    seconds: list[float], cut: int
) -> None:
    whole, first, second = (LatencyHistogram() for _ in range(3))
    for place, one in enumerate(seconds):
        whole.record(one)
        (first if place < cut else second).record(one)
    merged = LatencyHistogram.merged([first, second])

    assert merged.count == whole.count == len(seconds)
    for percent in (0.0, 50.0, 99.0, 99.9, 100.0):
        assert merged.quantile_s(percent) == whole.quantile_s(percent)
    # Merging changes none of them.
    assert first.count == min(cut, len(seconds))


@given(st.lists(st.floats(1e-4, 3_599), min_size=1, max_size=300), st.floats(0, 100))
def test_quantiles_are_exact_to_three_digits(seconds: list[float], percent: float) -> None:
    histogram = LatencyHistogram()
    for one in seconds:
        histogram.record(one)
    rank = max(1, math.ceil(percent / 100 * len(seconds) - 1e-9))
    neighbours = sorted(seconds)[max(0, rank - 2) : rank + 1]
    found = histogram.quantile_s(percent)

    assert found is not None
    assert min(neighbours) * 0.997 - 2e-6 <= found <= max(neighbours) * 1.003 + 2e-6


@given(
    st.lists(st.text("ab \n", min_size=1).filter(str.strip), min_size=1, max_size=5),
    st.integers(1, 500),
    SEEDS,
)
def test_texts_have_the_length_that_was_asked_for(
    texts: list[str], characters: int, seed: int
) -> None:
    mix = Mix(
        parse_mix(["translation"]), [Text(one) for one in texts], parse_lengths([f"{characters}"])
    )
    body = mix.draw(np.random.default_rng(seed)).body

    assert len(body["text"]) == characters
    assert not body["text"][-1].isspace()


@given(
    st.dictionaries(
        st.sampled_from(["text-classification", "translation"]), st.integers(1, 9), min_size=1
    ),
    SEEDS,
)
@settings(max_examples=20)
def test_kinds_come_as_often_as_their_weights_say(weights: dict[str, int], seed: int) -> None:
    mix = Mix(parse_mix([f"{name}={weight}" for name, weight in weights.items()]), [Text("a")])
    rng = np.random.default_rng(seed)
    drawn = [mix.draw(rng).kind.task for _ in range(2_000)]
    for name, weight in weights.items():
        share = weight / sum(weights.values())
        assert drawn.count(name) / len(drawn) == pytest.approx(share, abs=0.07)


@given(st.floats(50, 150), st.integers(1, 200), st.sampled_from([Poisson(), Even()]))
@settings(max_examples=5)
def test_a_stall_is_seen_in_open_loop_however_few_requests_may_be_on_their_way(
    rate: float, in_flight: int, arrivals: Arrivals
) -> None:
    """Coordinated omission: with one request at a time only one would be slow, of thousands."""
    times = step_times(10.0, max_in_flight=in_flight)
    step = in_virtual_time(open_step(Stalling(5.0, 6.0), arrivals, rate, times))

    # A tenth of all requests were due in the second of the stall.
    p99 = step.all.latency.quantile_s(99.0)
    assert p99 is not None
    assert p99 > 0.6
    assert step.all.asked == step.all.answered == step.all.latency.count


def test_the_same_stall_is_hidden_from_the_p99_of_a_few_users_in_closed_loop() -> None:
    step = in_virtual_time(one_step(Stalling(5.0, 6.0), ClosedLoop(0.02), 2, step_times(10.0)))
    p99, longest = step.all.latency.quantile_s(99.0), step.all.latency.max_s

    assert p99 is not None
    assert p99 < 0.01
    assert longest is not None
    assert longest > 0.9


@given(st.floats(2, 200), st.floats(1.3, 3.0), st.floats(0.2, 5), SEEDS)
@settings(max_examples=3)
def test_stepping_finds_where_a_service_can_do_no_more(
    capacity: float, factor: float, start: float, seed: int
) -> None:
    """start: in parts of the capacity, below it and above it"""
    objectives = [parse_objective(f"p99<={4000 / capacity:.3f}ms")]
    stepping = Stepping(start * capacity, factor, most=30, refine=4)
    # So long that a service which is not as fast as its requests falls behind by far.
    times = step_times(300 / capacity, timeout_s=1_000 / capacity, drain_s=9_000 / capacity)
    plan = LoadPlan(OpenLoop(Even()), MIX, times, stepping, objectives, seed)

    async def run() -> list[float]:
        steps = [s async for s in run_plan(plan, OneAtATime(1 / capacity), LoopClock())]
        found = saturation_of(steps, objectives)
        assert found.kept is not None
        assert found.failed is not None
        assert found.objectives == objectives
        return [found.kept.level, found.failed.level]

    kept, failed = in_virtual_time(run())

    # With even arrivals nobody waits below the capacity, and a queue of four passes above it.
    assert kept < capacity * 1.03
    assert failed > capacity * 0.97
    assert failed / kept <= factor ** (1 / 16) * 1.001


@given(st.integers(1, 10), st.floats(0.1, 2))
@settings(max_examples=6)
def test_a_closed_loop_never_asks_more_at_a_time_than_there_are_users(
    users: int, think_s: float
) -> None:
    most = now = 0

    async def ask(_: object) -> Reply:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await LoopClock().sleep(0.05)
        now -= 1
        return Reply("v")

    step = in_virtual_time(one_step(ask, ClosedLoop(think_s), users, step_times(20.0)))

    assert most <= users
    # Little's law: so many users, each of whom needs so long for a turn.
    expected = users / (think_s + 0.05)
    assert step.completed_per_s == pytest.approx(expected, rel=0.1 + 4 / math.sqrt(20 * expected))


@given(st.integers(1, 30), st.floats(5, 50))
@settings(max_examples=10)
def test_no_request_is_lost_to_a_server_that_hangs(in_flight: int, rate: float) -> None:
    async def hang(_: object) -> Reply:
        await LoopClock().sleep(1e6)
        return Reply()

    times = step_times(10.0, max_in_flight=in_flight, timeout_s=1.0, drain_s=2.0)
    step = in_virtual_time(open_step(hang, Even(), rate, times))

    due = sum(1 for number in range(10_000) if number / rate < 10.0)
    assert abs(step.all.asked - due) <= 1  # the last may be due at the very end
    assert step.all.errors.total() == step.all.asked
    assert step.all.errors[UNANSWERED] == min(in_flight, step.all.asked)
    assert set(step.all.errors) <= {UNANSWERED, UNSENT}
    # Each counts with the time that it was waited for.
    least = step.all.latency.quantile_s(0.0)
    assert least is not None
    assert least > 2.5
