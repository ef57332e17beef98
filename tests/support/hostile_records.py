"""Records that mean harm, each with what the table of outcomes in docs/design.md says of it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from tests.support.hostile_bytes import unreadable
from tests.support.hostile_cloud_events import cloud_events
from tests.support.hostile_fields import invalid
from tests.support.hostile_kind import Hostile, Make
from tests.support.hostile_requests import GOOD


def hostile_records(count: int, seed: int, tasks: Sequence[str]) -> Iterator[tuple[str, Hostile]]:
    """`count` records, each with the task it is for: every kind of every task in turn, in an order
    of chance, each with an id and junk of its own."""
    draw = random.Random(seed)
    kinds = [(task, make) for task in tasks for make in _kinds(task)]
    draw.shuffle(kinds)
    for number in range(count):
        task, make = kinds[number % len(kinds)]
        yield task, make(draw, f"bad-{seed}-{number}")


def kinds_count(tasks: Sequence[str]) -> int:
    """How many kinds there are of all tasks together."""
    return sum(len(_kinds(task)) for task in tasks)


def _kinds(task: str) -> list[Make]:
    return [*unreadable(task), *invalid(task), *cloud_events(GOOD[task])]
