"""Which events a route asks about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import re2

from streamproc.enrichment.event import Event
from streamproc.enrichment.route import Condition


def all_hold(conditions: Sequence[Condition], event: Event) -> bool:
    """Whether an event is what every condition asks for.

    With `*` in a pointer one of the values is enough. null is as if there were nothing.
    """
    return all(_holds(condition, event) for condition in conditions)


def _holds(condition: Condition, event: Event) -> bool:
    values = [found.value for found in event.find(condition.at)]
    if condition.exists is not None:
        return any(value is not None for value in values) is condition.exists
    if condition.matches is not None:
        pattern = re2.compile(condition.matches)
        return any(isinstance(value, str) and _found(pattern, value) for value in values)
    wanted = [condition.equals] if condition.in_ is None else condition.in_
    return any(_same(value, one) for value in values for one in wanted)


def _found(pattern: Any, value: str) -> bool:
    try:
        return pattern.search(value) is not None
    except UnicodeEncodeError:  # a lone surrogate
        return False


def _same(one: object, other: object) -> bool:
    """Equal as JSON values: true is not 1, 1.0 is 1."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    return isinstance(one, bool) is isinstance(other, bool) and one == other
