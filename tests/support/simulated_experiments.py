"""Experiments with arms whose truth is known, looked at again and again by the code of reports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from streamproc.offline.experiments.comparing import Compared, stratified_difference
from streamproc.offline.experiments.confidence_sequence import ALPHA
from streamproc.types import BoolArray, FloatArray


@dataclass(frozen=True)
class World:
    """What requests are like.

    control, treated: the share of each arm's answers that are right
    requests: of one experiment; look_every: so many of them
    per_key: requests of one key, in the mean, which are alike: each key has a share of its own
    with_mix: half of the requests are of a hard kind, twice as often in the first half of time
    """

    control: float = 0.9
    treated: float = 0.9
    requests: int = 5_000
    look_every: int = 100
    per_key: int = 1
    with_mix: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of one experiment that was stopped as soon as it was decided.

    decided_at: requests by then; None: it never was
    value: the difference at that moment, or at the end
    naive: whether a test for one look would have found a difference at any of the looks
    covered: whether the true difference was in the interval at every look
    """

    decided_at: int | None
    value: float
    naive: bool
    covered: bool


def simulate(world: World, experiments: int, seed: int, alpha: float = ALPHA) -> list[Outcome]:
    """Experiments one after another, each with its own requests."""
    random = np.random.default_rng(seed)
    return [_one(world, random, alpha) for _ in range(experiments)]


def _one(world: World, random: np.random.Generator, alpha: float) -> Outcome:
    compared = _drawn(world, random)
    decided_at, value, naive, covered = None, 0.0, False, True
    for end in range(world.look_every, world.requests + 1, world.look_every):
        seen = np.arange(world.requests) < end
        difference = stratified_difference(compared.of(seen), alpha)
        if difference is None or not difference.is_enough:
            continue
        truth = world.treated - world.control
        covered &= difference.low <= truth <= difference.high
        naive |= _naive_rejects(compared.values[:end], compared.is_treated[:end])
        if decided_at is None:
            value = difference.value
            decided_at = end if difference.is_decided else None
    return Outcome(decided_at, value, naive, covered)


def _drawn(world: World, random: np.random.Generator) -> Compared:
    n = world.requests
    units = random.integers(max(1, n // world.per_key), size=n)
    is_treated = (random.random(units.max() + 1) < 0.5)[units]
    rates = np.where(is_treated, world.treated, world.control)
    strata = np.zeros(n, np.int64)
    if world.with_mix:
        share = np.where(np.arange(n) < n / 2, 2 / 3, 1 / 3)
        strata = (random.random(n) < share).astype(np.int64)
        rates = rates + np.where(strata == 1, -0.1, 0.1)
    if world.per_key > 1:
        rates = np.clip(rates + random.choice((-0.1, 0.1), units.max() + 1)[units], 0, 1)
    values = (random.random(n) < rates).astype(np.float64)
    return Compared(values, is_treated, units, strata, are_shares=True)


def _naive_rejects(values: FloatArray, is_treated: BoolArray) -> bool:
    """The z-test of two shares at 5 %, as if this look were the only one."""
    own, other = values[is_treated], values[~is_treated]
    variance = own.var() / len(own) + other.var() / len(other)
    return bool(abs(own.mean() - other.mean()) > 1.96 * np.sqrt(variance))


def rates(outcomes: list[Outcome]) -> Iterator[tuple[str, float]]:
    """What is said of many experiments, in shares and requests."""
    decided = [one.decided_at for one in outcomes if one.decided_at is not None]
    yield "decided", len(decided) / len(outcomes)
    yield "one-look test", sum(one.naive for one in outcomes) / len(outcomes)
    yield "always covered", sum(one.covered for one in outcomes) / len(outcomes)
    yield "median requests", float(np.median(decided)) if decided else float("nan")
