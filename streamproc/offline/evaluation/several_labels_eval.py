"""Texts with several labels at once: F1 over all labels and of each, and whether all are right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from streamproc.errors import EvaluationError
from streamproc.offline.corpus.records import Columns
from streamproc.offline.corpus.rows import Source, read_rows
from streamproc.offline.evaluation.eval_metrics import (
    CALIBRATION,
    Metric,
    calibration_statistics,
    f1,
    macro_f1,
    ratio,
    summed_by_record,
)
from streamproc.offline.evaluation.eval_task import EvalTask, JsonObject, result_of
from streamproc.types import BoolArray, FloatArray


@dataclass(frozen=True, slots=True)
class TextWithLabels:
    """labels: all that it has, which may be none"""

    text: str
    labels: frozenset[str]
    fields: Mapping[str, str]


class SeveralLabelsEval(EvalTask):
    """Texts, each with its labels; a label is said where the response chose it."""

    metrics: Sequence[Metric] = (
        Metric("micro-F1", f1),
        Metric("macro-F1", macro_f1),
        Metric("exact match", ratio),
        CALIBRATION,
    )
    confidence_of = "labels of texts"

    def __init__(self, records: Sequence[TextWithLabels], labels: Sequence[str]) -> None:
        """labels: the ensemble's; those of the records are among them"""
        self.records = len(records)
        self.requests = [{"text": record.text} for record in records]
        self.fields = [record.fields for record in records]
        self.labels = frozenset(label for record in records for label in record.labels)
        self._labels = list(labels)
        self._right = self._chosen(record.labels for record in records)

    def statistics(self, responses: Sequence[JsonObject]) -> list[FloatArray]:
        results = list(map(result_of, responses))
        said = self._chosen(result.get("labels", ()) for result in results)
        counts = (said & self._right, said, self._right)
        every = np.stack([count.sum(axis=1) for count in counts], axis=1)
        # A text that was refused has no label that was to be said, nor any that was not.
        whole = (said == self._right).all(axis=1) & np.array([bool(one) for one in results])
        items = calibration_statistics(self._probabilities(responses).ravel(), self._right.ravel())
        record = np.repeat(np.arange(len(responses)), len(self._labels))
        return [
            every.astype(np.float64),
            np.concatenate(counts, axis=1).astype(np.float64),
            np.stack((whole, np.ones_like(whole)), axis=1).astype(np.float64),
            summed_by_record(items, record, len(responses)),
        ]

    def likelihood(self, responses: Sequence[JsonObject]) -> float:
        held = np.clip(self._probabilities(responses), 1e-12, 1 - 1e-12)
        return float(np.log(np.where(self._right, held, 1 - held)).mean())

    def _chosen(self, labels: Iterable[Iterable[str]]) -> BoolArray:
        """(records, labels) which each has."""
        return np.array([[one in set(own) for one in self._labels] for own in labels], np.bool_)

    def _probabilities(self, responses: Sequence[JsonObject]) -> FloatArray:
        scores = [result_of(response).get("scores", {}) for response in responses]
        return np.array([[own.get(label, 0.0) for label in self._labels] for own in scores])


def read_several_labels(
    source: Source, columns: Columns, names: Mapping[str, str], labels: Sequence[str]
) -> list[TextWithLabels]:
    """The texts of a file, with the ensemble's labels: a list of texts in the label's column.

    names: the label for each spelling; one that is not named is the label itself
    Raises EvaluationError when a label is not the ensemble's, TrainingError with file and line.
    """
    found = [
        TextWithLabels(
            row.text(columns.text),
            frozenset(names.get(label, label) for label in row.texts(columns.label)),
            {**row.others(columns.text, columns.label), "corpus": source.name},
        )
        for row in read_rows(source.path)
    ]
    if unknown := sorted({label for one in found for label in one.labels} - set(labels)):
        raise EvaluationError(
            f"{source.path}: {', '.join(unknown)} is no label of the ensemble, whose labels are "
            f"{', '.join(labels)}. Name every label of the data with --label SPELLING=NAME."
        )
    return found
