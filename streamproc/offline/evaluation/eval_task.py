"""Labelled records as requests, and what their answers are worth."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from streamproc.offline.evaluation.eval_metrics import Metric
from streamproc.types import BoolArray, FloatArray

JsonObject = Mapping[str, Any]
T = TypeVar("T")


class EvalTask(ABC):
    """What systems are asked, and how they are measured by what they answer.

    records: how many
    requests: own fields, and params; of every record one, in order, then what else is asked
    fields: of every record, what else is known of it; what figures can be grouped by
    metrics: the first is the one that matters most
    confidence_of: what a confidence is of, where calibration is among the metrics
    labels: what right answers are called, where an ensemble must know the names
    unit, timed: what is counted, and what times are of
    """

    metrics: Sequence[Metric]
    requests: Sequence[JsonObject]
    records: int
    fields: Sequence[Mapping[str, str]]
    confidence_of: str = ""
    labels: frozenset[str] = frozenset()
    unit = "records"
    timed = "requests"

    @abstractmethod
    def statistics(self, responses: Sequence[JsonObject]) -> list[FloatArray]:
        """For each metric, (records, statistics).

        responses: to the requests, in their order; one that is an error counts as a wrong answer
        """

    def likelihood(self, responses: Sequence[JsonObject]) -> float | None:
        """Mean log-likelihood of what is right, in nats; None where answers do not tell it."""
        return None

    def confidences(self, responses: Sequence[JsonObject]) -> tuple[FloatArray, BoolArray] | None:
        """(items,) each one's score, and whether it is right; None where scores are of labels."""
        return None

    def agreement(self, responses: Sequence[JsonObject]) -> FloatArray:
        """(records,) the members' agreement on each, NaN for what was not answered."""
        own = responses[: self.records]
        return np.array([response.get("agreement", np.nan) for response in own], np.float64)


def result_of(response: JsonObject) -> Mapping[str, Any]:
    """What was answered; nothing where there is no answer."""
    result: Mapping[str, Any] = response.get("result", {})
    return result


def subsample_evenly(records: Sequence[T], limit: int | None) -> Sequence[T]:
    """At most `limit` of the records, spread evenly over all of them."""
    if limit is None or limit >= len(records):
        return records
    return [records[number * len(records) // limit] for number in range(limit)]
