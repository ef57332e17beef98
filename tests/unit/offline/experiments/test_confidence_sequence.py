"""Intervals that hold at every look: simulated experiments, stopped as soon as they are decided."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.offline.experiments.confidence_sequence import (
    ALPHA,
    MIN_UNITS,
    difference_of,
    half_width,
)
from tests.support.simulated_experiments import World, rates, simulate

SAME = {
    "one right in ten": World(0.1, 0.1, 3_000, 100),
    "half of them right": World(0.5, 0.5, 3_000, 100),
    "one wrong in a hundred": World(0.99, 0.99, 3_000, 100),
    "keys with ten requests": World(0.8, 0.8, 4_000, 200, per_key=10),
    "a mix that changes": World(0.8, 0.8, 3_000, 100, with_mix=True),
}
EXPERIMENTS = 200


@pytest.mark.parametrize("world", SAME.values(), ids=SAME)
def test_where_arms_are_alike_at_most_one_experiment_in_twenty_finds_a_difference(
    world: World,
) -> None:
    found = dict(rates(simulate(world, EXPERIMENTS, seed=16)))
    assert found["decided"] <= ALPHA
    assert found["always covered"] >= 1 - ALPHA


def test_a_test_for_one_look_finds_many_that_are_not_there_so_the_simulation_can_tell() -> None:
    found = dict(rates(simulate(SAME["half of them right"], EXPERIMENTS, seed=16)))
    assert found["one-look test"] > 2 * ALPHA


def test_a_difference_that_is_there_is_found_and_the_interval_holds_it() -> None:
    world = World(control=0.9, treated=0.8, requests=3_000, look_every=100)
    outcomes = simulate(world, 100, seed=16)
    found = dict(rates(outcomes))
    assert found["decided"] >= 0.95
    assert found["always covered"] >= 1 - ALPHA
    assert all(one.value < 0 for one in outcomes if one.decided_at is not None)


@given(
    value=st.floats(-1, 1),
    variance=st.floats(1e-6, 1),
    units=st.integers(MIN_UNITS, 10**6),
    alpha=st.sampled_from([0.05, 0.025, 0.01]),
)
def test_the_p_value_says_the_same_as_the_interval(
    value: float, variance: float, units: int, alpha: float
) -> None:
    found = difference_of(value, variance, (units, units), alpha)
    assert found.low <= value <= found.high
    if not math.isclose(found.p, alpha, rel_tol=1e-6):
        assert (found.p < alpha) == found.is_decided


def test_nothing_is_decided_of_a_few_keys() -> None:
    assert not difference_of(1.0, 1e-9, (MIN_UNITS - 1, 10**6), ALPHA).is_decided
    assert difference_of(1.0, 1e-9, (MIN_UNITS, MIN_UNITS), ALPHA).is_decided


def test_intervals_narrow_with_what_is_known_and_are_wider_for_a_smaller_error_rate() -> None:
    units = np.array([100.0, 1_000.0, 10_000.0, 1_000_000.0])
    widths = half_width(1 / units, units, ALPHA)
    assert (np.diff(widths) < 0).all()
    assert (half_width(1 / units, units, 0.01) > widths).all()
