"""text-classification where a text may have several labels: each has a probability of its own."""

from __future__ import annotations

from typing import Final

import numpy as np

from streamproc.serving.ensembling.measures import separate_agreement, separate_entropy
from streamproc.serving.tasks.classification_params import TextClassificationParams
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.separate_tally import SeparateTally
from streamproc.serving.tasks.tallied_text import Conclusion, TalliedTextJob
from streamproc.serving.tasks.task import TextInputs
from streamproc.types import FloatArray, JsonObject

# As transformers trains them, and as its metrics cut them.
_THRESHOLD: Final = 0.5


class MultiLabelJob(TalliedTextJob):
    """A text being given labels: one that any of its windows has, it has, unless a request says
    otherwise.

    The largest over windows is what multiple-instance learning takes a text of parts to mean
    (Dietterich et al. 1997); in a mean, a label of one page of a book would be lost.
    """

    def __init__(
        self, inputs: TextInputs, params: TextClassificationParams, spec: EnsembleSpec
    ) -> None:
        super().__init__(inputs, params, spec)
        self._threshold = _THRESHOLD if params.threshold is None else params.threshold

    def tally(self, opinions: int, outputs: int) -> SeparateTally:
        return SeparateTally(self._params.aggregation or "max", opinions, outputs)

    def conclude(self, scores: FloatArray, members: FloatArray, weights: FloatArray) -> Conclusion:
        return Conclusion(
            self.result(scores),
            separate_agreement(members, weights, scores, self._threshold),
            separate_entropy(scores),
        )

    def choice(self, scores: FloatArray) -> str:
        labels = zip(self._spec.labels, scores.tolist(), strict=True)
        chosen = [label for label, score in labels if score >= self._threshold]
        return ", ".join(chosen) or "none"

    def result(self, scores: FloatArray) -> JsonObject:
        """The keys of a single label, which is the likeliest, and beside them the chosen ones.

        scores: (labels,), NaN at labels that a member does not know
        """
        labels = self._spec.labels
        order = [i for i in np.argsort(-scores, kind="stable") if scores[i] >= 0]
        return {
            "label": labels[order[0]],
            "score": float(scores[order[0]]),
            "labels": [labels[i] for i in order if scores[i] >= self._threshold],
            "scores": {labels[i]: float(scores[i]) for i in order[: self._params.top_k]},
        }
