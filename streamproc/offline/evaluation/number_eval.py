"""Texts with a number each: how far off a regression is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from streamproc.offline.corpus.records import Columns
from streamproc.offline.corpus.rows import CorpusRow, Source, read_rows
from streamproc.offline.evaluation.eval_metrics import Metric, ratio
from streamproc.offline.evaluation.eval_task import EvalTask, JsonObject, result_of
from streamproc.types import FloatArray


@dataclass(frozen=True, slots=True)
class TextWithNumber:
    """A text, and what is to be said of it."""

    text: str
    number: float
    fields: Mapping[str, str]


def root_mean_square(sums: FloatArray) -> FloatArray:
    """(..., 2) sums of squares, and how many."""
    return np.sqrt(ratio(sums))


def pearson(sums: FloatArray) -> FloatArray:
    """(..., 6) how many, and the sums of x, y, x², y² and xy; NaN where either does not vary."""
    count, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.sqrt((count * xx - x * x) * (count * yy - y * y))
        return np.asarray(np.where(spread > 0, (count * xy - x * y) / spread, np.nan))


class NumberEval(EvalTask):
    """Texts, each with its number; a text that is refused counts as the mean of all right ones."""

    metrics: Sequence[Metric] = (
        Metric("RMSE", root_mean_square, higher_is_better=False, per_cent=False, unit=""),
        Metric("mean absolute error", ratio, higher_is_better=False, per_cent=False, unit=""),
        Metric("Pearson correlation", pearson, unit="%"),
    )

    def __init__(self, records: Sequence[TextWithNumber]) -> None:
        self.records = len(records)
        self.requests = [{"text": record.text} for record in records]
        self.fields = [record.fields for record in records]
        self._right = np.array([record.number for record in records], np.float64)

    def statistics(self, responses: Sequence[JsonObject]) -> list[FloatArray]:
        nobody = float(self._right.mean())
        said = np.array([result_of(one).get("value", nobody) for one in responses], np.float64)
        right, one = self._right, np.ones_like(said)
        off = said - right
        # No correlation is changed by this, but sums of squares far from 0 would be told apart by
        # their last digits alone; and of numbers that are all the same it leaves exact zeros.
        apart, said = right - np.median(right), said - np.median(said)
        return [
            np.stack((off**2, one), axis=1),
            np.stack((np.abs(off), one), axis=1),
            np.stack((one, said, apart, said**2, apart**2, said * apart), axis=1),
        ]


def read_numbers(source: Source, columns: Columns) -> list[TextWithNumber]:
    """The texts of a file with the numbers in the label's column.

    Raises TrainingError with file and line.
    """
    return [
        TextWithNumber(
            row.text(columns.text),
            _number(row, columns.label),
            {**row.others(columns.text, columns.label), "corpus": source.name},
        )
        for row in read_rows(source.path)
    ]


def _number(row: CorpusRow, column: str) -> float:
    value = row.get(column)
    try:
        # A CSV has texts alone.
        readable = isinstance(value, str | int | float) and not isinstance(value, bool)
        number = float(value) if readable else math.nan  # type: ignore[arg-type]
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        row.fail(f"{column!r} is not a number: {value!r}.")
    return number
