"""text-classification: labels for a text of any length, or numbers; sentiment is one such.

What the outputs of the members are decides, as in transformers: one label, several, or numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final

import numpy as np

from streamproc.errors import Invalid
from streamproc.serving.ensembling.measures import agreement, entropy
from streamproc.serving.inference.signature import Signature
from streamproc.serving.tasks.classification_params import Aggregation, TextClassificationParams
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.multi_label import MultiLabelJob
from streamproc.serving.tasks.tallied_text import Conclusion, TalliedTextJob
from streamproc.serving.tasks.task import AnyJob, Inputs, Params, ScoringTask, TextInputs
from streamproc.serving.tasks.text_regression import RegressionJob
from streamproc.types import FloatArray, JsonObject, ProblemType


class _ProbabilityTally:
    """Probabilities of chunks becoming those of the text, for each of several opinions at once."""

    def __init__(self, aggregation: Aggregation, opinions: int, labels: int) -> None:
        self._aggregation = aggregation
        self._sum = np.zeros((opinions, labels))
        self._tie_break = np.zeros((opinions, labels))

    def add(self, rows: list[int], probabilities: FloatArray, tokens: int) -> None:
        """Take what the opinions `rows` hold of one chunk: (rows, labels), NaN where unknown."""
        known = np.where(np.isnan(probabilities), 0.0, probabilities)
        if self._aggregation == "mean":
            self._sum[rows] += known * tokens
        elif self._aggregation == "max":
            self._sum[rows] = np.maximum(self._sum[rows], known)
        else:
            self._sum[rows, np.argmax(known, axis=-1)] += 1.0
            self._tie_break[rows] += known * 1e-6

    def scores(self, rows: list[int]) -> FloatArray:
        """(rows, labels), each row summing to 1."""
        total = self._sum[rows] + self._tie_break[rows]
        return np.asarray(total / total.sum(axis=-1, keepdims=True))


class TextClassificationJob(TalliedTextJob):
    """A text being classified: its windows' probabilities, weighted by their tokens."""

    def __init__(
        self, inputs: TextInputs, params: TextClassificationParams, spec: EnsembleSpec
    ) -> None:
        if params.threshold is not None:
            raise Invalid(
                "invalid request",
                f"params.threshold: {params.threshold}, but ensemble {spec.name} gives a text "
                "one label, the likeliest",
            )
        super().__init__(inputs, params, spec)

    def tally(self, opinions: int, outputs: int) -> _ProbabilityTally:
        return _ProbabilityTally(self._params.aggregation or "mean", opinions, outputs)

    def conclude(self, scores: FloatArray, members: FloatArray, weights: FloatArray) -> Conclusion:
        result = self.result(scores)
        label = self._spec.labels.index(result["label"])
        return Conclusion(result, agreement(members, weights, label), entropy(scores))

    def choice(self, scores: FloatArray) -> str:
        known = np.where(np.isnan(scores), -1.0, scores)
        return self._spec.labels[int(np.argmax(known))]

    def result(self, scores: FloatArray) -> JsonObject:
        """transformers' keys, and beside them every label's probability, likeliest first."""
        order = np.argsort(-scores, kind="stable")
        labels = self._spec.labels
        return {
            "label": labels[order[0]],
            "score": float(scores[order[0]]),
            "scores": {
                labels[index]: float(scores[index]) for index in order[: self._params.top_k]
            },
        }


_JOBS: Final[dict[ProblemType, Callable[..., AnyJob]]] = {
    "single_label_classification": TextClassificationJob,
    "multi_label_classification": MultiLabelJob,
    "regression": RegressionJob,
}


def _begin(inputs: TextInputs, params: TextClassificationParams, spec: EnsembleSpec) -> AnyJob:
    return _JOBS[spec.problem_type](inputs, params, spec)


class TextClassification(ScoringTask):
    """Every window of the text is scored; nothing is cut off unless `truncate` asks for it."""

    name: ClassVar[str] = "text-classification"
    inputs: ClassVar[type[Inputs]] = TextInputs
    params: ClassVar[type[Params]] = TextClassificationParams
    job = staticmethod(_begin)
    labelled: ClassVar[bool] = True
    problem_types: ClassVar[tuple[ProblemType, ...]] = tuple(_JOBS)

    def signature(self, labels: int) -> Signature:
        return Signature(outputs=("logits",), labels=labels)
