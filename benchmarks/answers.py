"""What a contender answered, as numbers that can be held against another's.

Stitched here and not by the pipeline, so that the pipeline is checked and not compared with itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamproc.serving.chunking.windows import Chunk
from streamproc.serving.ensembling.combine import calibrated, combine
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.types import FloatArray


@dataclass(frozen=True, slots=True)
class Difference:
    """How far answers are from those they are held against.

    labels:      requests that got another label
    probability: the largest difference of a probability
    """

    labels: int
    probability: float


def stitched(
    spec: EnsembleSpec, chunks: Sequence[Sequence[Chunk]], logits: Sequence[FloatArray]
) -> FloatArray:
    """Probabilities (requests, labels): members combined, chunks weighted by their tokens.

    chunks: those of each request
    logits: of each member (chunks of all requests in order, outputs)
    """
    placed = np.stack(
        [member.labels.align(values) for member, values in zip(spec.members, logits, strict=True)]
    )
    every = [chunk for own in chunks for chunk in own]
    combined = np.stack(
        [
            calibrated(
                combine(spec.strategy, own, spec.weights(spec.strategy, chunk.ids)),
                spec.temperature,
            )
            for chunk, own in zip(every, placed.swapaxes(0, 1), strict=True)
        ]
    )
    tokens = np.array([max(1, chunk.content_tokens) for chunk in every])
    firsts = np.cumsum([0, *(len(own) for own in chunks)])[:-1]
    sums = np.add.reduceat(combined * tokens[:, None], firsts, axis=0)
    return np.asarray(sums / sums.sum(axis=1, keepdims=True))


def difference(answers: FloatArray, reference: FloatArray) -> Difference:
    """Both (requests, labels), in the same order of requests."""
    return Difference(
        labels=int((answers.argmax(axis=1) != reference.argmax(axis=1)).sum()),
        probability=float(np.abs(answers - reference).max()),
    )
