"""How sure an ensemble is of its answer."""

from __future__ import annotations

import numpy as np

from streamproc.ensembling.labels import FloatArray


def entropy(probabilities: FloatArray) -> float:
    """Shannon entropy of (labels,) probabilities, in nats; 0 when certain, log(labels) at most."""
    positive = probabilities[probabilities > 0]
    return max(0.0, float(-(positive * np.log(positive)).sum()))


def agreement(probabilities: FloatArray, weights: FloatArray, label: int) -> float:
    """Share of the members' weight, 0 to 1, whose own likeliest label is `label`.

    probabilities: (members, labels), NaN at unknown labels; weights: (members,), positive
    """
    choice = np.argmax(np.where(np.isnan(probabilities), -1.0, probabilities), axis=-1)
    return float(np.sort(weights * (choice == label)).sum() / np.sort(weights).sum())
