"""How an ensemble's members are best combined, found on validation data.

Every candidate is the ensemble with another manifest; how good it is, a judge says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from streamproc.repository.manifest import CombineSection, GateSection
from streamproc.repository.repository import StoredEnsemble
from streamproc.types import FloatArray, Strategy

# Of the gate's softmax: each twice the one before, from nearly the same say to nearly one member's.
SHARPNESS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
TEMPERATURES = tuple(round(1.15**power, 3) for power in range(-10, 11))
# Of a member's weight that is tried as another's, from coarse to fine.
_MOVES = (0.2, 0.1, 0.05)
_LEAST_WEIGHT = 0.02


@dataclass(frozen=True, slots=True)
class Score:
    """How good a candidate is; of all, more is better.

    value:      the task's first measure, negated where less is better
    likelihood: mean log-likelihood of what is right, in nats; None where answers do not tell
    calibrated: calibration error, negated; None where it is not measured
    """

    value: float
    likelihood: float | None = None
    calibrated: float | None = None

    @property
    def finer(self) -> float:
        """What parameters of one way are chosen by: the likelihood moves where the measure jumps
        by whole answers."""
        return self.value if self.likelihood is None else self.likelihood

    @property
    def deciding(self) -> tuple[float, float]:
        """What ways are compared by."""
        return self.value, self.finer


@dataclass(frozen=True, slots=True)
class Candidate:
    """A way to combine, in words, the ensemble with it, and how good that is."""

    way: str
    stored: StoredEnsemble
    score: Score


Judge = Callable[[Sequence[StoredEnsemble]], Sequence[Score]]
"""How good each of these is; their models are the same."""


def tune(
    stored: StoredEnsemble, judge: Judge, strategies: Collection[Strategy], gate: GateSection | None
) -> Iterator[Candidate]:
    """The best of each way to combine, the plain mean first, and last the best of all, calibrated.

    strategies: that the task knows
    gate: whose file lies in the ensemble's folder already; none: gating is not tried
    """
    plain = _with(stored, gate=None, temperature=1.0)
    best: list[Candidate] = []
    for strategy in [one for one in ("mean", "logit_mean", "vote") if one in strategies]:
        best.append(_judged(strategy, _with(plain, strategy=strategy), judge))
        yield best[-1]
    if len(plain.manifest.members) > 1:
        weighted = _weighted(_with(plain, strategy="weighted"), judge)
        best.append(weighted)
        yield best[-1]
        if gate is not None:
            best.append(_gated([_evenly(plain), weighted.stored], gate, judge))
            yield best[-1]
    # Of equals the first, which is the simplest.
    chosen = max(best, key=lambda one: one.score.deciding)
    yield _calibrated(chosen, judge) if chosen.score.calibrated is not None else chosen


def _weighted(stored: StoredEnsemble, judge: Judge) -> Candidate:
    """Weights that sum to 1, by moving some of one member's to another while that helps."""
    count = len(stored.manifest.members)
    weights = np.full(count, 1 / count)
    (score,) = judge([_weighing(stored, weights)])
    for move in _MOVES:
        while True:
            tried = [
                moved
                for source in range(count)
                for target in range(count)
                if source != target
                and (moved := _moved(weights, source, target, move)).min() >= _LEAST_WEIGHT
            ]
            scores = judge([_weighing(stored, one) for one in tried]) if tried else []
            if not scores or max(one.finer for one in scores) <= score.finer:
                break
            first = max(range(len(scores)), key=lambda place: scores[place].finer)
            weights, score = tried[first], scores[first]
    return Candidate(f"weighted {_shares(weights)}", _weighing(stored, weights), score)


def _evenly(stored: StoredEnsemble) -> StoredEnsemble:
    count = len(stored.manifest.members)
    return _weighing(stored, np.full(count, 1 / count))


def _shares(weights: Iterable[float]) -> str:
    return ", ".join(f"{weight:.2f}" for weight in weights)


def _moved(weights: FloatArray, source: int, target: int, by: float) -> FloatArray:
    moved = weights.copy()
    moved[source] -= by
    moved[target] += by
    return moved


def _weighing(stored: StoredEnsemble, weights: FloatArray) -> StoredEnsemble:
    members = tuple(
        member.model_copy(update={"weight": round(float(weight), 4)})
        for member, weight in zip(stored.manifest.members, weights, strict=True)
    )
    return replace(stored, manifest=stored.manifest.model_copy(update={"members": members}))


def _gated(weighings: Sequence[StoredEnsemble], gate: GateSection, judge: Judge) -> Candidate:
    """The best sharpness of the gate over any of these weights, which it multiplies."""
    tried = [
        _with(one, strategy="gated", gate=gate.model_copy(update={"sharpness": sharpness}))
        for one in weighings
        for sharpness in SHARPNESS
    ]
    scores = judge(tried)
    first = max(range(len(scores)), key=lambda place: scores[place].finer)
    chosen = tried[first].manifest
    shares = _shares([member.weight for member in chosen.members])
    sharpness = SHARPNESS[first % len(SHARPNESS)]
    return Candidate(f"gated, sharpness {sharpness:g} over {shares}", tried[first], scores[first])


def _calibrated(chosen: Candidate, judge: Judge) -> Candidate:
    """The same way with its best temperature; by likelihood, else by calibration error.

    One that costs anything of the first measure is out of the question.
    """
    tried = [_with(chosen.stored, temperature=one) for one in TEMPERATURES]
    scores = judge(tried)

    def merit(place: int) -> tuple[float, float]:
        score = scores[place]
        fit = score.likelihood if score.likelihood is not None else score.calibrated
        if fit is None or score.value < chosen.score.value:
            fit = -math.inf
        # Of equals the one that changes least.
        return fit, -abs(math.log(TEMPERATURES[place]))

    first = max(range(len(scores)), key=merit)
    return Candidate(
        f"{chosen.way}, temperature {TEMPERATURES[first]:g}", tried[first], scores[first]
    )


def _judged(way: str, stored: StoredEnsemble, judge: Judge) -> Candidate:
    (score,) = judge([stored])
    return Candidate(way, stored, score)


def _with(stored: StoredEnsemble, **changes: Any) -> StoredEnsemble:
    """The ensemble with another gate, strategy or temperature."""
    manifest = stored.manifest
    combine: dict[str, Any] = manifest.combine.model_dump()
    combine |= {name: changes.pop(name) for name in combine if name in changes}
    section = CombineSection(**combine)
    return replace(stored, manifest=manifest.model_copy(update={**changes, "combine": section}))
