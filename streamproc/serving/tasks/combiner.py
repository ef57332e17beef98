"""How a job combines what members say of its chunks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.types import FloatArray, Int64Array, Strategy


@dataclass(frozen=True, slots=True)
class Opinions:
    """What members say of one chunk, each by itself and all together.

    answered:      numbers of the members that say something
    scores:        (answered, ..., labels), probabilities, or the numbers of a regression
    weights:       (answered,)
    combined:      (..., labels)
    """

    answered: list[int]
    scores: FloatArray
    weights: FloatArray
    combined: FloatArray

    def of_member(self) -> dict[int, FloatArray]:
        """Each member's own scores, by its number."""
        return dict(zip(self.answered, self.scores, strict=True))


class Combiner:
    """By the way that the request asks for, or the manifest's, which alone is calibrated.

    A member's weight may differ from chunk to chunk: `voting_weight` sums it up.
    """

    def __init__(self, profile: EnsembleSpec, asked: Strategy | None) -> None:
        """Raises Invalid."""
        self._profile = profile
        self._strategy = profile.chosen_strategy(asked)
        self._temperature = profile.temperature if self._strategy == profile.strategy else 1.0
        self._voting_weight = np.zeros(len(profile.members))

    def combine(self, ids: Int64Array, logits: Mapping[int, FloatArray]) -> Opinions:
        """What members say of a chunk.

        ids: (tokens,) the chunk's; logits: (..., labels) of each member that answered, by number
        """
        answered, head = list(logits), self._profile.head
        scores = head.scores(np.stack([*logits.values()]))
        weights = self._profile.weights(self._strategy, ids)
        self._voting_weight += weights * len(ids)
        weights = weights[answered]
        combined = head.combine(self._strategy, scores, weights)
        if len(answered) > 1:
            self._profile.note_choices(answered, head.agreeing(scores, combined))
        return Opinions(answered, scores, weights, head.calibrated(combined, self._temperature))

    def voting_weight(self, answered: Sequence[int]) -> FloatArray:
        """(answered,) these members' weight on all chunks so far, each by its tokens."""
        return self._voting_weight[list(answered)]
