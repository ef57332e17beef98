"""How a job combines what members say of its chunks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streamproc.serving.ensembling.combine import calibrated, combine_probabilities
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.types import FloatArray, Int64Array, Strategy


class Combiner:
    """By the way that the request asks for, or the manifest's, which alone is calibrated.

    A member's say may differ from chunk to chunk; `say` is what it had on all so far.
    """

    def __init__(self, profile: EnsembleSpec, asked: Strategy | None) -> None:
        """Raises Invalid."""
        self._profile = profile
        self._strategy = profile.chosen_strategy(asked)
        self._temperature = profile.temperature if self._strategy == profile.strategy else 1.0
        self._say = np.zeros(len(profile.members))

    def weights(self, ids: Int64Array, answered: Sequence[int]) -> FloatArray:
        """(answered,) the say of the members that answered on a chunk; ids: (tokens,) its own."""
        weights = self._profile.weights(self._strategy, ids)
        self._say += weights * len(ids)
        return weights[list(answered)]

    def combine(self, probabilities: FloatArray, weights: FloatArray) -> FloatArray:
        """(..., labels) of (members, ..., labels) and these members' weights."""
        return calibrated(
            combine_probabilities(self._strategy, probabilities, weights), self._temperature
        )

    def say(self, answered: Sequence[int]) -> FloatArray:
        """(answered,) these members' say on all chunks, each by its tokens."""
        return self._say[list(answered)]
