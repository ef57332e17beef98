"""text-classification: labels for a text of any length, or numbers; sentiment is one such.

What the outputs of the members are decides, as in transformers: one label, several, or numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final, Self

import numpy as np

from streamproc.errors import Invalid
from streamproc.serving.chunking.windows import Chunk
from streamproc.serving.disagreements import Choices
from streamproc.serving.ensembling.measures import agreement, agreements, entropies, entropy
from streamproc.serving.inference.batch import RanTogether
from streamproc.serving.inference.signature import Signature
from streamproc.serving.tasks.classification_params import Aggregation, TextClassificationParams
from streamproc.serving.tasks.combiner import BatchOpinions
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.multi_label import MultiLabelJob
from streamproc.serving.tasks.tallied_text import Conclusion, TalliedTextJob
from streamproc.serving.tasks.task import Answer, AnyJob, Inputs, Params, ScoringTask, TextInputs
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


@dataclass(frozen=True, slots=True)
class _OnlyWindows:
    """What the windows of a batch come to, each of which is all of its text; a row each.

    order, scores: labels by number, likeliest first; probabilities in the labels' own order
    chosen: each member's label, by number
    """

    order: list[list[int]]
    scores: list[list[float]]
    chosen: list[list[int]]
    agreement: list[float]
    entropy: list[float]

    @classmethod
    def of(cls, opinions: BatchOpinions) -> Self:
        """Of what members say, (members, rows, labels), NaN at unknown labels."""
        members = np.where(np.isnan(opinions.scores), 0.0, opinions.scores)
        scores = opinions.combined / opinions.combined.sum(axis=-1, keepdims=True)
        order = np.argsort(-scores, axis=-1, kind="stable")
        return cls(
            order.tolist(),
            scores.tolist(),
            members.argmax(axis=-1).T.tolist(),
            agreements(opinions.scores, opinions.weights, order[:, 0]).tolist(),
            entropies(scores).tolist(),
        )


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
        # Nearly all requests: what they come to is worked out for all that ran together.
        self._is_plain = params.aggregation in (None, "mean") and not params.return_members
        self._only: tuple[_OnlyWindows, int] | None = None

    def add_row(
        self, chunk: Chunk, together: RanTogether, opinions: BatchOpinions, row: int
    ) -> None:
        is_only = chunk.index == 0 and (chunk.is_last or self._params.truncate)
        if is_only and self._is_plain:
            key = (_OnlyWindows, id(opinions))
            self._only = together.work_out(key, lambda: _OnlyWindows.of(opinions)), row
        else:
            super().add_row(chunk, together, opinions, row)

    def answer(self) -> Answer:
        if self._only is None:
            return super().answer()
        found, row = self._only
        labels, agreement = self._spec.labels, found.agreement[row]
        order, scores = found.order[row], found.scores[row]
        chosen = labels[order[0]]
        choices = None
        if agreement != 1:
            own = zip(self._accumulator.answered, found.chosen[row], strict=True)
            names = self._spec.members
            choices = Choices(chosen, {names[index].name: labels[label] for index, label in own})
        return Answer(
            result={
                "label": chosen,
                "score": scores[order[0]],
                "scores": {labels[at]: scores[at] for at in order[: self._params.top_k]},
            },
            members=self._accumulator.members(),
            agreement=agreement,
            entropy=found.entropy[row],
            coverage=self._accumulator.coverage(),
            choices=choices,
        )

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
