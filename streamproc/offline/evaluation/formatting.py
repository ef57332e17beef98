"""Figures and contenders as tables and plots call them."""

from __future__ import annotations

import math

from streamproc.offline.evaluation.candidates import Candidate
from streamproc.offline.evaluation.eval_result import AgreementGroup, Difference
from streamproc.offline.evaluation.intervals import Estimate
from streamproc.offline.evaluation.measures import Measure


def titled(contender: Candidate) -> str:
    """A contender as a table has it."""
    members = len(contender.stored.manifest.members)
    if contender.role == "member":
        return f"member {contender.name}"
    if contender.role == "way":
        return f"combined by {contender.name}"
    how = f"{contender.strategy} of {members}" if members > 1 else "one member"
    return f"{contender.name}, {how}"


def named(difference: Difference) -> str:
    """What the ensemble is compared with; the best member may be another for each measure."""
    if difference.name != "best member":
        return difference.name
    return f"best member ({', '.join(dict.fromkeys(difference.beside))})"


def heading(measure: Measure) -> str:
    """A measure as a table has it."""
    return measure.name if measure.higher_is_better else f"{measure.name} (less is better)"


def shown(measure: Measure, value: float) -> str:
    """A value as a table has it: per cent to a tenth, others to two decimals."""
    if math.isnan(value):
        return "–"
    return f"{100 * value:z.1f}" if measure.per_cent else f"{value:z.2f}"


def shown_estimate(measure: Measure, estimate: Estimate, *, signed: bool = False) -> str:
    """A figure and its interval."""
    value, low, high = (
        shown(measure, number) for number in (estimate.value, estimate.low, estimate.high)
    )
    if signed:
        value, low, high = (
            text if text.startswith(("-", "–")) else f"+{text}" for text in (value, low, high)
        )
    return f"{value} ({low} to {high})"


def shown_agreement(group: AgreementGroup) -> str:
    """How far members agree, in per cent."""
    low, high = f"{100 * group.low:.0f}", f"{100 * group.high:.0f}"
    return f"{low} %" if group.low == group.high else f"{low} to {high} %"
