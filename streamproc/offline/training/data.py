"""What a member learns from and is measured by: its part of the corpus's files, or all but it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from streamproc.errors import TrainingError
from streamproc.offline.corpus.rows import Source
from streamproc.offline.training.on_disk import Records
from streamproc.offline.training.plan import TrainingPlan


def read(plan: TrainingPlan, sources: Sequence[Source]) -> Iterator[Any]:
    """The records of some files; raises TrainingError when there are none."""
    nothing = True
    for source in sources:
        for record in plan.recipe.read(source):
            nothing = False
            yield record
    if nothing:
        raise TrainingError(f"{', '.join(str(s.path) for s in sources)}: holds no records.")


def counted(plan: TrainingPlan, records: Iterable[Any], parts: Counter[str]) -> Iterator[Any]:
    """The records, counted by part as they pass."""
    for record in records:
        parts[plan.partitioning.part_of(record)] += 1
        yield record


def of_member(plan: TrainingPlan, part: str) -> Records[Any]:
    """The records that the member of a part learns from."""
    is_of_member = _is_of_member(plan, part)
    return Records(r for r in read(plan, plan.corpus) if is_of_member(r))


def full_corpus(plan: TrainingPlan) -> Records[Any]:
    """The records of all parts."""
    return Records(read(plan, plan.corpus))


def validation(plan: TrainingPlan, part: str | None = None) -> Records[Any]:
    """What tells when a member has converged: texts like its own, or all where parts are alike."""
    records = Records(read(plan, plan.valid))
    if part is None or not plan.partitioning.by_content:
        return records
    is_of_member = _is_of_member(plan, part)
    alike = Records(r for r in records if is_of_member(r))
    return alike if len(alike) else records


def _is_of_member(plan: TrainingPlan, part: str) -> Callable[[Any], bool]:
    """Leaving one part out (`others`) is a jackknife: members share most texts, and differ."""
    is_own = plan.config.learn_from == "own"
    return lambda record: (plan.partitioning.part_of(record) == part) == is_own
