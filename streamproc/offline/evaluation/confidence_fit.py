"""The confidence that makes scores as often right as they say, fitted to scores and the truth."""

from __future__ import annotations

import numpy as np

from streamproc.serving.ensembling.confidence import IDENTITY, Confidence
from streamproc.types import BoolArray, FloatArray

LEAST_SCORES = 50
"""Fewer say too little about two numbers."""

_SMALLEST = 1e-6
_STEPS = 50
_RIDGE = 1e-6
_CLOSE = 1e-9
# A slope of 0 or below would turn the order around: scores that say nothing are left as they are.
_LEAST_SLOPE, _LARGEST = 0.05, 20.0


def fit_confidence(scores: FloatArray, right: BoolArray) -> Confidence:
    """The likeliest, by Newton's method, over targets that are moved in as Platt moves them.

    scores: (items,) 0 to 1; right: (items,) whether each was
    Returns the identity where there are too few, or none of one kind.
    """
    if len(scores) < LEAST_SCORES or right.all() or not right.any():
        return IDENTITY
    known = np.clip(scores, _SMALLEST, 1 - _SMALLEST)
    features = np.stack((np.log(known / (1 - known)), np.ones(len(known))), axis=1)
    # As if one more of each kind had been seen, so that what is all right is not taken for certain.
    hits = right.sum()
    targets = np.where(right, (hits + 1) / (hits + 2), 1 / (len(right) - hits + 2))

    def loss(parameters: FloatArray) -> float:
        moved = features @ parameters
        unlikely = np.logaddexp(0, moved) - targets * moved
        return float(unlikely.sum() + _RIDGE / 2 * (parameters**2).sum())

    # Begun where scores say nothing.
    share = targets.mean()
    found = np.array([0.0, np.log(share / (1 - share))])
    for _ in range(_STEPS):
        said = 1 / (1 + np.exp(-np.clip(features @ found, -500, 500)))
        gradient = features.T @ (targets - said) - _RIDGE * found
        curvature = (features * (said * (1 - said))[:, None]).T @ features + _RIDGE * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        # Where nearly all are right, a whole step may leap to where the curve is flat and none
        # leads back.
        while loss(found + step) > loss(found) and np.abs(step).max() >= _CLOSE:
            step /= 2
        found += step
        if np.abs(step).max() < _CLOSE:
            break
    slope, offset = (round(float(one), 4) for one in found)
    if not (_LEAST_SLOPE <= slope <= _LARGEST and abs(offset) <= _LARGEST):
        return IDENTITY
    return Confidence(slope, offset)
