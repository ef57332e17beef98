"""Figures as tables and plots show them."""

from __future__ import annotations

import math

from streamproc.offline.evaluation.eval_metrics import Metric
from streamproc.offline.evaluation.intervals import Estimate


def heading(metric: Metric) -> str:
    """A metric as a table has it."""
    return metric.name if metric.higher_is_better else f"{metric.name} (less is better)"


def shown(metric: Metric, value: float, *, signed: bool = False) -> str:
    """A value as a table has it: per cent to a tenth, others to two decimals."""
    if math.isnan(value):
        return "–"
    text = f"{100 * value:z.1f}" if metric.per_cent else f"{value:z.2f}"
    return f"+{text}" if signed and not text.startswith("-") else text


def shown_estimate(metric: Metric, estimate: Estimate, *, signed: bool = False) -> str:
    """A figure and its interval."""
    numbers = (estimate.value, estimate.low, estimate.high)
    value, low, high = (shown(metric, number, signed=signed) for number in numbers)
    return f"{value} ({low} to {high})"
