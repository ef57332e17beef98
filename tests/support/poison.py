"""A token that a member fails on, sequences with and without it, and what became of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from streamproc.errors import MemberFailed
from streamproc.metrics import Metrics
from streamproc.serving.inference.batch import Batch, MemberOutput
from streamproc.types import Int64Array

CANARY, POISON = 1, 99


@dataclass(frozen=True)
class Sequence:
    ids: Int64Array
    type_ids: Int64Array


def sequence(*ids: int) -> Sequence:
    return Sequence(np.array(ids, np.int64), np.zeros(len(ids), np.int64))


def refuse_poison(batch: Batch) -> None:
    if (batch.ids == POISON).any():
        raise MemberFailed("a", "poison")


def failures(metrics: Metrics, member: str, status: str) -> float | None:
    """How many sequences a member has no result for, as an operator reads it."""
    labels = {"ensemble": "tiny", "member": member, "status": status}
    return metrics.registry.get_sample_value("streamproc_member_failures_total", labels)


def statuses(rows: Iterable[Iterable[MemberOutput]]) -> list[list[str]]:
    return [[output.status for output in row] for row in rows]
