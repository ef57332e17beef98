"""What contenders' answers came to, and what is found out by comparing them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamproc.offline.evaluation.candidates import Candidate
from streamproc.offline.evaluation.intervals import Estimate
from streamproc.offline.evaluation.measures import Measure
from streamproc.offline.evaluation.reliability import Reliability
from streamproc.types import FloatArray


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far members agree on each item, and what the item is worth.

    items:      what they are called: records, or parts of records
    measure:    of an item, by its statistics, (items, statistics)
    agreement:  (items,) the share of the members' weight that is for the answer, NaN if unknown
    record:     (items,) the number of the record that each is of
    """

    items: str
    measure: Measure
    agreement: FloatArray
    statistics: FloatArray
    record: NDArray[np.intp]

    @classmethod
    def on_records(
        cls, measure: Measure, agreement: FloatArray, statistics: FloatArray
    ) -> Agreement:
        """On records as a whole."""
        return cls("records", measure, agreement, statistics, np.arange(len(agreement)))


@dataclass(frozen=True, slots=True)
class EvalRun:
    """What a contender's answers came to.

    statistics: for each measure, (records, statistics)
    seconds: for all requests, loading not counted
    errors, partial: how many requests got no answer, or one without all members
    """

    contender: Candidate
    statistics: Sequence[FloatArray]
    seconds: float
    requests: int
    errors: int = 0
    partial: int = 0
    agreement: Agreement | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A contender's figures, an estimate a measure; reliability where calibration is measured."""

    contender: Candidate
    estimates: tuple[Estimate, ...]
    seconds_per_1000: float
    errors: int
    partial: int
    reliability: Reliability | None


@dataclass(frozen=True, slots=True)
class Difference:
    """The ensemble less something else, measured on the same draws.

    beside: what else, one name a measure
    """

    name: str
    beside: tuple[str, ...]
    estimates: tuple[Estimate, ...]


@dataclass(frozen=True, slots=True)
class AgreementGroup:
    """Items on which members agree so far, from `low`, and below `high` where that is more.

    count: how many; estimate: of these alone
    """

    low: float
    high: float
    count: int
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class Agreed:
    """The measure of an ensemble's items by how far its members agree on them."""

    items: str
    measure: Measure
    groups: tuple[AgreementGroup, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """The first measure of the records of one group.

    estimates: one a contender
    differences: as those of all records
    """

    name: str
    records: int
    estimates: tuple[Estimate, ...]
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class EvalResult:
    """All of it; the first row is the ensemble's; groups are by the field `by`.

    agreement: None of a single member, or where it is not known of any answer
    """

    measures: tuple[Measure, ...]
    records: int
    rows: tuple[Row, ...]
    differences: tuple[Difference, ...]
    agreement: Agreed | None
    by: str
    groups: tuple[Group, ...]
