"""Whether ways of scoring the same sequences agree: ONNX and torch, alone and in a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from streamproc.serving.inference.batch import ModelInput
from streamproc.serving.verification.parity import require_parity
from streamproc.types import FloatArray

Score = Callable[[Sequence[ModelInput]], Sequence[FloatArray]]
"""The scores of each sequence of a batch: (labels,), (tokens, labels), or (tokens, 2) for the two
ends of a span."""


def alone_and_together(
    score: Score, sequences: Sequence[ModelInput]
) -> list[tuple[FloatArray, FloatArray]]:
    """What is said of each sequence when it is alone, and when all are in one batch."""
    alone = [score([sequence])[0] for sequence in sequences]
    return list(zip(alone, score(sequences), strict=True))


def count_batch_variant(score: Score, batches: Iterable[Sequence[ModelInput]]) -> int:
    """How many sequences get other scores in their batch than alone; 0 is what is asked.

    Compared to the bit: an answer must not depend on what a request happened to be batched with.
    """
    return sum(
        one.tobytes() != other.tobytes()
        for batch in batches
        for one, other in alone_and_together(score, batch)
    )


def largest_difference(one: Score, other: Score, batches: Iterable[Sequence[ModelInput]]) -> float:
    """The largest difference between two ways of scoring, over all batches."""
    return max((_difference(one(batch), other(batch)) for batch in batches), default=0.0)


def require_same_scores(
    what: str, expected: Score, score: Score, batches: Iterable[Sequence[ModelInput]]
) -> float:
    """The largest difference to what is expected, over all batches.

    what: is compared, for the message
    Raises TrainingError when it is larger than `require_parity` allows.
    """
    differences = [0.0]
    for batch in batches:
        right = expected(batch)
        differences.append(_difference(right, score(batch)))
        require_parity(what, differences[-1], np.concatenate([row.ravel() for row in right]))
    return max(differences)


def _difference(one: Sequence[FloatArray], other: Sequence[FloatArray]) -> float:
    # NumPy's maximum, unlike Python's, is no number where one of them is none.
    return float(np.max([np.abs(a - b).max() for a, b in zip(one, other, strict=True)]))
