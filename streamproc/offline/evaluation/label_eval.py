"""Labels of texts: accuracy, macro-F1, and whether probabilities mean what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from streamproc.errors import EvaluationError
from streamproc.offline.corpus.records import Columns, LabelledText, read_labelled_texts
from streamproc.offline.corpus.rows import Source
from streamproc.offline.evaluation.eval_metrics import (
    CALIBRATION,
    Metric,
    calibration_statistics,
    macro_f1,
    ratio,
)
from streamproc.offline.evaluation.eval_task import EvalTask, JsonObject, result_of
from streamproc.types import FloatArray


class LabelEval(EvalTask):
    """Texts, each with its label."""

    metrics: Sequence[Metric] = (
        Metric("accuracy", ratio),
        Metric("macro-F1", macro_f1),
        CALIBRATION,
    )
    confidence_of = "texts"

    def __init__(self, records: Sequence[LabelledText], labels: Sequence[str]) -> None:
        """labels: the ensemble's; those of the records are among them"""
        self.records = len(records)
        self.requests = [{"text": record.text} for record in records]
        self.fields = [record.fields for record in records]
        self.labels = frozenset(record.label for record in records)
        self._labels = list(labels)
        self._right = np.array([self._labels.index(record.label) for record in records], np.intp)

    def statistics(self, responses: Sequence[JsonObject]) -> list[FloatArray]:
        results = list(map(result_of, responses))
        said = np.array([self._index(result.get("label")) for result in results], np.intp)
        confidence = np.array([result.get("score", 0.0) for result in results], np.float64)
        right = said == self._right
        labels = np.arange(len(self._labels))
        of_said, of_right = said[:, None] == labels, self._right[:, None] == labels
        counts = np.concatenate((of_said & of_right, of_said, of_right), axis=1)
        return [
            np.stack((right, np.ones_like(right)), axis=1).astype(np.float64),
            counts.astype(np.float64),
            calibration_statistics(confidence, right),
        ]

    def likelihood(self, responses: Sequence[JsonObject]) -> float:
        probabilities = [
            result_of(response).get("scores", {}).get(self._labels[right], 0.0)
            for response, right in zip(responses, self._right, strict=True)
        ]
        return float(np.log(np.maximum(probabilities, 1e-12)).mean())

    def _index(self, label: str | None) -> int:
        return self._labels.index(label) if label in self._labels else -1


def read_labelled(
    source: Source, columns: Columns, names: Mapping[str, str], labels: Sequence[str]
) -> list[LabelledText]:
    """The texts of a file, with the ensemble's labels.

    names: the label for each spelling; one that is not named is the label itself
    Raises EvaluationError when a label is not the ensemble's, TrainingError with file and line.
    """
    found = [
        LabelledText(record.text, names.get(record.label, record.label), record.fields)
        for record in read_labelled_texts(source.path, columns, source.name)
    ]
    if unknown := sorted({record.label for record in found} - set(labels)):
        raise EvaluationError(
            f"{source.path}: {', '.join(unknown)} is no label of the ensemble, whose labels are "
            f"{', '.join(labels)}. Name every label of the data with --label SPELLING=NAME."
        )
    return found
