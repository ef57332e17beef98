"""What an evaluation finds out: one tidy table, a row for each figure, that all reports show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamproc.offline.evaluation.eval_metrics import CALIBRATION, Metric
from streamproc.offline.evaluation.intervals import Estimate
from streamproc.offline.evaluation.reliability import Reliability
from streamproc.offline.evaluation.systems import System
from streamproc.types import FloatArray

AGREEMENT = "agreement of members"
"""What rows are grouped by that are of records on which members agree so far."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far members agree on each item, and how good the answer to it is.

    items:      what they are called: records, or parts of records
    metric:     of an item, by its statistics, (items, statistics)
    agreement:  (items,) the share of the members' weight that is for the answer, NaN if unknown
    record:     (items,) the number of the record that each belongs to
    """

    items: str
    metric: Metric
    agreement: FloatArray
    statistics: FloatArray
    record: NDArray[np.intp]

    @classmethod
    def on_records(cls, metric: Metric, agreement: FloatArray, statistics: FloatArray) -> Agreement:
        """On records as a whole."""
        return cls("records", metric, agreement, statistics, np.arange(len(agreement)))


@dataclass(frozen=True, slots=True)
class EvalRun:
    """The answers of a system, counted.

    statistics: for each metric, (records, statistics)
    seconds: for all requests, loading not counted
    errors, partial: how many requests got no answer, or one without all members
    """

    system: System
    statistics: Sequence[FloatArray]
    seconds: float
    requests: int
    errors: int = 0
    partial: int = 0
    agreement: Agreement | None = None

    @property
    def seconds_per_1000(self) -> float:
        """Seconds that 1,000 requests take."""
        return 1000 * self.seconds / self.requests


@dataclass(frozen=True, slots=True)
class ResultRow:
    """A metric of one system, or the ensemble's less another's, over all records or a group.

    minus:        what is subtracted: "best member", "mean member" or another ensemble; "": nothing
    minus_system: the system that this is; the best member may be another for each metric and group
    n:            records of the group, or items where it is one by agreement
    by, group:    the field that groups are made by, and its value; "": all records
    """

    system: System
    metric: Metric
    estimate: Estimate
    n: int
    minus: str = ""
    minus_system: str = ""
    by: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class EvalResults:
    """All results of an evaluation, and the runs that they are of, the ensemble's first."""

    metrics: Sequence[Metric]
    runs: Sequence[EvalRun]
    rows: Sequence[ResultRow]
    by: str = ""

    @property
    def records(self) -> int:
        """How many there are."""
        return len(self.runs[0].statistics[0])

    @property
    def items(self) -> str:
        """What agreement is counted of: records, or parts of records."""
        agreement = self.runs[0].agreement
        return agreement.items if agreement else "records"

    def select(self, by: str = "", *, differences: bool = False) -> list[ResultRow]:
        """The rows of all records, or those that are grouped by a field or by agreement."""
        return [row for row in self.rows if row.by == by and bool(row.minus) == differences]

    def reliability(self, run: EvalRun) -> Reliability | None:
        """How confidence and correctness go together; None where calibration is not measured."""
        if CALIBRATION not in self.metrics:
            return None
        return Reliability.of(run.statistics[self.metrics.index(CALIBRATION)])
