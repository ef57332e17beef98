"""Scores of chunks becoming those of the text, each output by itself."""

from __future__ import annotations

import numpy as np

from streamproc.serving.tasks.classification_params import Aggregation
from streamproc.types import FloatArray


class SeparateTally:
    """For each of several opinions at once: probabilities that need not sum to 1, or numbers."""

    def __init__(self, aggregation: Aggregation, opinions: int, outputs: int) -> None:
        self._aggregation = aggregation
        self._total = np.full((opinions, outputs), -np.inf if aggregation == "max" else 0.0)
        self._weight = np.zeros((opinions, 1))

    def add(self, rows: list[int], scores: FloatArray, tokens: int) -> None:
        """Take what the opinions `rows` hold of one chunk: (rows, outputs), NaN where unknown."""
        if self._aggregation == "max":
            self._total[rows] = np.maximum(self._total[rows], scores)
        elif self._aggregation == "mean":
            self._total[rows] += scores * tokens
            self._weight[rows] += tokens
        else:
            self._total[rows] += np.where(np.isnan(scores), np.nan, scores >= 0.5)
            self._weight[rows] += 1

    def scores(self, rows: list[int]) -> FloatArray:
        """(rows, outputs), NaN where an opinion does not know one."""
        if self._aggregation == "max":
            return self._total[rows]
        return np.asarray(self._total[rows] / self._weight[rows])
