"""How sure an ensemble is of its answer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamproc.serving.ensembling.sorted_sum import sorted_sum
from streamproc.types import FloatArray


def entropies(probabilities: FloatArray) -> FloatArray:
    """Shannon entropy of (..., labels) probabilities, in nats; 0 when certain, log(labels) at most.

    returns: (...)
    """
    logarithms = np.log(np.where(probabilities > 0, probabilities, 1.0))
    return np.asarray(np.maximum(0.0, -(probabilities * logarithms).sum(axis=-1)))


def entropy(probabilities: FloatArray) -> float:
    """The same for (labels,)."""
    return float(entropies(probabilities))


def agreements(
    probabilities: FloatArray, weights: FloatArray, labels: NDArray[np.intp]
) -> FloatArray:
    """Share of the members' weight, 0 to 1, whose own likeliest label is the one in `labels`.

    probabilities: (members, ..., labels), NaN at unknown labels; labels: (...)
    weights: (members,), positive; or (members, rows) for (members, rows, ..., labels)
    returns: (...)
    """
    choice = np.argmax(np.where(np.isnan(probabilities), -1.0, probabilities), axis=-1)
    spread = weights.reshape(*weights.shape, *(1,) * (choice.ndim - weights.ndim))
    agreeing = sorted_sum([*(spread * (choice == labels))])
    return np.asarray(agreeing / sorted_sum([*spread]))


def agreement(probabilities: FloatArray, weights: FloatArray, label: int) -> float:
    """The same for (members, labels)."""
    return float(agreements(probabilities, weights, np.asarray(label, np.intp)))


def separate_entropy(probabilities: FloatArray) -> float:
    """Mean entropy, in nats, of (labels,) that do not exclude each other; log(2) at most."""
    return float(entropies(np.stack((probabilities, 1 - probabilities), axis=-1)).mean())


def separate_agreement(
    members: FloatArray, weights: FloatArray, combined: FloatArray, threshold: float
) -> float:
    """Mean over labels of the share of the members' weight that chooses a label as `combined` does.

    members: (members, labels), NaN at unknown labels, which have no share; weights: (members,),
    positive; combined: (labels,); threshold: the probability from which a label is chosen
    """
    known = ~np.isnan(members)
    same = known & ((members >= threshold) == (combined >= threshold))
    # In order of magnitude, so that the members' order makes no difference.
    agreeing = np.sort(weights[:, None] * same, axis=0).sum(axis=0)
    knowing = np.sort(weights[:, None] * known, axis=0).sum(axis=0)
    asked = knowing > 0
    return float((agreeing[asked] / knowing[asked]).mean()) if asked.any() else 1.0


def spreads(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted standard deviation of (members, numbers) around their mean: 0 of a single member.

    weights: (members,), positive
    returns: (numbers,)
    """
    shares = (weights / np.sort(weights).sum())[:, None]
    mean = np.sort(shares * values, axis=0).sum(axis=0)
    return np.asarray(np.sqrt(np.sort(shares * (values - mean) ** 2, axis=0).sum(axis=0)))
