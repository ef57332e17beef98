"""Differences between arms: within strata, by key, and of rare things."""

from __future__ import annotations

import numpy as np
import pytest

from streamproc.offline.experiments.comparing import (
    Compared,
    paired_difference,
    plain_difference,
    pooled,
    stratified_difference,
)
from streamproc.offline.experiments.confidence_sequence import ALPHA, Difference
from streamproc.offline.experiments.sample_ratio import MISMATCH_BELOW, sample_ratio_p
from streamproc.types import FloatArray, Int64Array


def compared(
    values: FloatArray,
    is_treated: object,
    *,
    units: Int64Array | None = None,
    strata: object = 0,
) -> Compared:
    count = len(values)
    return Compared(
        np.asarray(values, np.float64),
        np.asarray(is_treated, np.bool_),
        np.arange(count) if units is None else units,
        np.broadcast_to(np.asarray(strata, np.int64), count),
        are_shares=True,
    )


def known(difference: Difference | None) -> Difference:
    assert difference is not None
    return difference


def test_an_arm_that_is_better_in_every_stratum_is_better_though_it_is_worse_over_all() -> None:
    # Hard requests: 30 % and 40 % right; easy ones: 80 % and 90 %. The better arm has the hard.
    sizes = {(0, 0): (100, 30), (0, 1): (900, 360), (1, 0): (900, 720), (1, 1): (100, 90)}
    rows = [
        (float(n < right), bool(arm), stratum)
        for (stratum, arm), (count, right) in sizes.items()
        for n in range(count)
    ]
    values, treated, strata = (np.array(column) for column in zip(*rows, strict=True))
    found = compared(values, treated, strata=strata)
    assert known(plain_difference(found, ALPHA)).value == pytest.approx(0.45 - 0.75)
    assert known(stratified_difference(found, ALPHA)).value == pytest.approx(0.1)


def test_requests_of_one_key_do_not_pass_for_many_keys() -> None:
    random = np.random.default_rng(3)
    keys = 200
    treated = np.repeat(np.arange(keys) % 2 == 0, 50)
    right = np.repeat(random.random(keys) < 0.5, 50).astype(np.float64)
    by_key = compared(right, treated, units=np.repeat(np.arange(keys), 50))
    as_if_single = compared(right, treated)
    wide, narrow = (known(plain_difference(one, ALPHA)) for one in (by_key, as_if_single))
    assert wide.value == narrow.value
    assert wide.high - wide.low > 4 * (narrow.high - narrow.low)
    assert wide.units == keys


def test_what_none_has_seen_yet_may_still_come() -> None:
    values = np.zeros(1_000)
    values[:3] = 1.0
    treated = np.arange(1_000) % 2 == 0
    found = known(plain_difference(compared(values, treated), ALPHA))
    assert not found.is_decided
    nothing = known(plain_difference(compared(np.zeros(1_000), treated), ALPHA))
    assert nothing.low < 0 < nothing.high


def test_without_requests_of_both_arms_there_is_no_difference() -> None:
    assert plain_difference(compared(np.ones(5), np.ones(5)), ALPHA) is None
    assert plain_difference(compared(np.ones(0), np.ones(0)), ALPHA) is None
    assert paired_difference(np.ones(0), np.ones(0, np.int64), ALPHA) is None


def test_pairs_that_never_differ_leave_room_for_some_that_do() -> None:
    found = known(paired_difference(np.zeros(500), np.arange(500), ALPHA))
    assert (found.value, found.is_decided) == (0.0, False)
    assert 0 < found.high < 0.05


def test_small_strata_are_taken_together_so_that_both_arms_are_in_each() -> None:
    treated = np.array([True, False] * 60)
    strata = np.array([0] * 60 + [1] * 30 + [2] * 30)
    assert set(pooled(strata, treated)[:60]) != set(pooled(strata, treated)[60:])
    assert len(set(pooled(strata, treated)[60:])) == 1
    # Too few to be one of their own even together: with the largest.
    lonely = np.array([0] * 118 + [1, 2])
    assert len(set(pooled(lonely, treated))) == 1
    assert len(set(pooled(np.arange(120), treated))) == 1


def test_a_stratum_that_one_arm_lacks_does_not_make_a_difference_of_nothing() -> None:
    treated = np.array([True, False] * 60 + [True] * 30)
    found = compared(np.ones(150), treated, strata=[0] * 120 + [1] * 30)
    assert known(stratified_difference(found, ALPHA)).value == 0.0


@pytest.mark.parametrize(
    ("counts", "weights", "is_mismatch"),
    [
        ((500, 500), (1, 1), False),
        ((530, 470), (1, 1), False),
        ((600, 400), (1, 1), True),
        ((600, 400), (3, 2), False),
        ((9_000, 1_000), (9, 1), False),
        ((9_300, 700), (9, 1), True),
        ((0, 0), (1, 1), False),
        ((340, 330, 330), (1, 1, 1), False),
        ((500, 250, 250), (1, 1, 1), True),
    ],
)
def test_shares_that_are_not_those_of_the_weights_are_told(
    counts: tuple[int, ...], weights: tuple[float, ...], *, is_mismatch: bool
) -> None:
    assert (sample_ratio_p(counts, weights) < MISMATCH_BELOW) == is_mismatch


def test_the_test_of_shares_may_be_looked_at_as_often_as_one_likes() -> None:
    random = np.random.default_rng(5)
    alarms = 0
    for _ in range(200):
        first = np.cumsum(random.random(3_000) < 0.5)
        looks = range(50, 3_000, 50)
        alarms += any(
            sample_ratio_p((n - int(first[n - 1]), int(first[n - 1])), (1, 1)) < 0.05 for n in looks
        )
    assert alarms / 200 <= 0.05
