"""Scoring windows, whatever runs the model, and what all measures of it share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamproc.offline.training.windows import Batch

Scores = NDArray[np.float64]

# Answers a batch with logits: (windows, labels), (windows, tokens, labels), or (windows, tokens, 2)
# for the two ends of a span.
RunBatch = Callable[[Batch], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class WindowSize:
    """How long texts are cut when they are scored; the manifest's `[window]`."""

    max_tokens: int = 256
    overlap_tokens: int = 32


def softmax(logits: NDArray[np.floating], axis: int = -1) -> Scores:
    """Probabilities of logits, over one axis."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=axis, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=axis, keepdims=True))


def log_loss(right: Scores) -> float:
    """Mean negative logarithm of what was right, in nats. right: (any,) its probabilities."""
    return float(-np.log(np.clip(right, 1e-12, None)).mean()) if right.size else 0.0
