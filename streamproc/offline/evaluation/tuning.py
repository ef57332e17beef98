"""How an ensemble's members are best combined, found on validation data.

Every candidate is the ensemble with another manifest; a scorer says how good it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any, get_args

import numpy as np

from streamproc.repository.manifest import (
    CombineSection,
    ConfidenceSection,
    DefaultsSection,
    GateSection,
)
from streamproc.repository.repository import StoredEnsemble
from streamproc.serving.ensembling.confidence import IDENTITY, Confidence
from streamproc.types import EntityAggregation, FloatArray, Strategy

# Of the gate's softmax: each twice the one before, from nearly equal weights to nearly one member.
SHARPNESS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
TEMPERATURES = tuple(round(1.15**power, 3) for power in range(-10, 11))
# Weight that is moved from one member to another, from coarse to fine.
_MOVES = (0.2, 0.1, 0.05)
_LEAST_WEIGHT = 0.02
# Of the first metric, what calibration may cost: far less than its noise, where a few answers turn.
_CALIBRATION_COST = 0.002


@dataclass(frozen=True, slots=True)
class Score:
    """How good a candidate is; of all, more is better.

    value:      the task's first metric, negated where less is better
    likelihood: mean log-likelihood of what is right, in nats; None where answers do not tell
    calibration: calibration error, negated; None where it is not measured
    confidence: what would make scores of spans as often right as they say, had they none so far
    """

    value: float
    likelihood: float | None = None
    calibration: float | None = None
    confidence: Confidence = IDENTITY

    @property
    def objective(self) -> float:
        """What parameters of a strategy are optimised for: the likelihood moves smoothly where the
        metric jumps by whole answers."""
        return self.value if self.likelihood is None else self.likelihood

    @property
    def selection_key(self) -> tuple[float, float]:
        """What strategies are compared by."""
        return self.value, self.objective


@dataclass(frozen=True, slots=True)
class Candidate:
    """A way to combine, in words, the ensemble with it, and how good that is."""

    description: str
    stored: StoredEnsemble
    score: Score


Scorer = Callable[[Sequence[StoredEnsemble]], Sequence[Score]]
"""How good each of these is; their models are the same."""


def tune(
    stored: StoredEnsemble,
    scorer: Scorer,
    strategies: Collection[Strategy],
    gate: GateSection | None,
) -> Iterator[Candidate]:
    """The best of each strategy, the plain mean first, and last the best of all, calibrated.

    Of entities, how tokens become one is chosen for the best strategy, before it is calibrated.

    strategies: that the task knows
    gate: whose file lies in the ensemble's folder already; none: gating is not tried
    """
    plain = _with(
        stored,
        gate=None,
        temperature=1.0,
        confidence=ConfidenceSection(),
        defaults=DefaultsSection(),
    )
    found: list[Candidate] = []
    for strategy in [one for one in ("mean", "logit_mean", "vote") if one in strategies]:
        found.append(_best({strategy: _with(plain, strategy=strategy)}, scorer))
        yield found[-1]
    if len(plain.manifest.members) > 1:
        weighted = _weighted(_with(plain, strategy="weighted"), scorer)
        found.append(weighted)
        yield found[-1]
        if gate is not None:
            even = _with_weights(plain, _even_weights(plain))
            found.append(_gated([even, weighted.stored], gate, scorer))
            yield found[-1]
    # Of equals the first, which is the simplest.
    chosen = max(found, key=lambda one: one.score.selection_key)
    if plain.manifest.task == "token-classification":
        chosen = _aggregated(chosen, scorer)
        yield chosen
    if chosen.score.calibration is not None:
        chosen = _calibrated(chosen, scorer)
        if chosen.score.confidence != IDENTITY:
            yield chosen
            chosen = _confident(chosen, scorer)
    yield chosen


def recalibrate(stored: StoredEnsemble, scorer: Scorer) -> Iterator[Candidate]:
    """The ensemble as it is, and last the same with another confidence or temperature."""
    as_it_was = _best({"as before": stored}, scorer)
    yield as_it_was
    chosen = as_it_was
    if stored.manifest.confidence != ConfidenceSection():
        plain = _with(stored, confidence=ConfidenceSection())
        chosen = _best({"as before, without confidence": plain}, scorer)
    if chosen.score.confidence != IDENTITY:
        yield _confident(chosen, scorer)
    elif chosen.score.calibration is not None:
        yield _calibrated(chosen, scorer)
    else:
        yield as_it_was


def _best(
    tried: Mapping[str, StoredEnsemble],
    scorer: Scorer,
    key: Callable[[Candidate], Any] = lambda candidate: candidate.score.objective,
) -> Candidate:
    """The best of these, by what they are called; of equals the first."""
    scores = scorer(list(tried.values()))
    found = [Candidate(*one, score) for one, score in zip(tried.items(), scores, strict=True)]
    return max(found, key=key)


def _weighted(stored: StoredEnsemble, scorer: Scorer) -> Candidate:
    """Weights that sum to 1, by moving some of one member's to another while that helps."""
    weights = _even_weights(stored)
    (score,) = scorer([_with_weights(stored, weights)])
    for move in _MOVES:
        while tried := list(_moved(weights, move)):
            scores = scorer([_with_weights(stored, one) for one in tried])
            best = max(range(len(tried)), key=lambda place: scores[place].objective)
            if not scores[best].objective > score.objective:
                break
            weights, score = tried[best], scores[best]
    best_stored = _with_weights(stored, weights)
    return Candidate(f"weighted {_shares(best_stored)}", best_stored, score)


def _moved(weights: FloatArray, move: float) -> Iterator[FloatArray]:
    """All weights with some of one moved to another, and enough left."""
    for source, target in permutations(range(len(weights)), 2):
        moved = weights.copy()
        moved[source] -= move
        moved[target] += move
        if moved.min() >= _LEAST_WEIGHT:
            yield moved


def _gated(weightings: Sequence[StoredEnsemble], gate: GateSection, scorer: Scorer) -> Candidate:
    """The best sharpness of the gate over any of these weights, which it multiplies."""
    tried = {
        f"gated, sharpness {sharpness:g} over {_shares(one)}": _with(
            one, strategy="gated", gate=gate.model_copy(update={"sharpness": sharpness})
        )
        for one in weightings
        for sharpness in SHARPNESS
    }
    return _best(tried, scorer)


def _aggregated(chosen: Candidate, scorer: Scorer) -> Candidate:
    """The same way with the aggregation of tokens whose entities are the best."""
    tried = {
        f"{chosen.description}, aggregation {one}": _with(
            chosen.stored, defaults=DefaultsSection(aggregation=one)
        )
        for one in get_args(EntityAggregation)
    }
    return _best(tried, scorer, lambda candidate: candidate.score.value)


def _calibrated(chosen: Candidate, scorer: Scorer) -> Candidate:
    """The same way with its best temperature; by likelihood, else by calibration error.

    One that costs more of the first metric than `_CALIBRATION_COST` is out of the question.
    """
    tried = {
        f"{chosen.description}, temperature {one:g}": _with(chosen.stored, temperature=one)
        for one in TEMPERATURES
    }

    def fit(candidate: Candidate) -> tuple[float, float]:
        score = candidate.score
        found = score.likelihood if score.likelihood is not None else score.calibration
        if found is None or score.value < chosen.score.value - _CALIBRATION_COST:
            found = -math.inf
        # Of equals the one that changes least.
        return found, -abs(math.log(candidate.stored.manifest.combine.temperature))

    return _best(tried, scorer, fit)


def _confident(chosen: Candidate, scorer: Scorer) -> Candidate:
    """The same way, its scores made as often right as they say; which turns no answer around."""
    fitted = chosen.score.confidence
    section = ConfidenceSection(slope=fitted.slope, offset=fitted.offset)
    text = f"{chosen.description}, confidence {fitted.slope:g}, {fitted.offset:+g}"
    return _best({text: _with(chosen.stored, confidence=section)}, scorer)


def _even_weights(stored: StoredEnsemble) -> FloatArray:
    count = len(stored.manifest.members)
    return np.full(count, 1 / count)


def _shares(stored: StoredEnsemble) -> str:
    return ", ".join(f"{member.weight:.2f}" for member in stored.manifest.members)


def _with_weights(stored: StoredEnsemble, weights: FloatArray) -> StoredEnsemble:
    members = tuple(
        member.model_copy(update={"weight": round(float(weight), 4)})
        for member, weight in zip(stored.manifest.members, weights, strict=True)
    )
    return replace(stored, manifest=stored.manifest.model_copy(update={"members": members}))


def _with(stored: StoredEnsemble, **changes: Any) -> StoredEnsemble:
    """The ensemble with another gate, strategy, temperature or aggregation."""
    manifest = stored.manifest
    combine: dict[str, Any] = manifest.combine.model_dump()
    combine |= {name: changes.pop(name) for name in combine if name in changes}
    section = CombineSection(**combine)
    return replace(stored, manifest=manifest.model_copy(update={**changes, "combine": section}))
