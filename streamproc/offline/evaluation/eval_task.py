"""Labelled records as requests, and what their answers are worth."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from streamproc.offline.evaluation.measures import Measure
from streamproc.types import FloatArray

Request = Mapping[str, Any]
Response = Mapping[str, Any]
T = TypeVar("T")


class EvalTask(ABC):
    """What contenders are asked, and how they are measured by what they answer.

    records: how many
    requests: own fields, and params; of every record one, in order, then what else is asked
    fields: of every record, what else is known of it; what figures can be grouped by
    measures: the first is the one that matters most
    judged: what a confidence is of, where calibration is among the measures
    labels: what right answers are called, where an ensemble must know the names
    """

    measures: Sequence[Measure]
    requests: Sequence[Request]
    records: int
    fields: Sequence[Mapping[str, str]]
    judged: str = ""
    labels: frozenset[str] = frozenset()

    @abstractmethod
    def statistics(self, responses: Sequence[Response]) -> list[FloatArray]:
        """For each measure, (records, statistics).

        responses: to the requests, in their order; one that is an error counts as a wrong answer
        """

    def likelihood(self, responses: Sequence[Response]) -> float | None:
        """Mean log-likelihood of what is right, in nats; None where answers do not tell it."""
        return None

    def agreement(self, responses: Sequence[Response]) -> FloatArray:
        """(records,) the members' agreement on each, NaN for what was not answered."""
        own = responses[: self.records]
        return np.array([response.get("agreement", np.nan) for response in own], np.float64)


def result_of(response: Response) -> Mapping[str, Any]:
    """What was answered; nothing where there is no answer."""
    result: Mapping[str, Any] = response.get("result", {})
    return result


def subsample_evenly(records: Sequence[T], limit: int | None) -> Sequence[T]:
    """At most `limit` of the records, spread evenly over all of them."""
    if limit is None or limit >= len(records):
        return records
    return [records[number * len(records) // limit] for number in range(limit)]
