"""All that decides a training run, and the form in which it is compared and written down."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streamproc.errors import TrainingError
from streamproc.offline.corpus.partitioning import Partitioning
from streamproc.offline.corpus.rows import Source
from streamproc.offline.training.precision import AUTO
from streamproc.offline.training.schedule import Schedule
from streamproc.offline.training.search_space import SearchSpace
from streamproc.offline.training.training_task import TrainingTask
from streamproc.repository.digests import sha256
from streamproc.repository.toml import TomlValue


@dataclass(frozen=True, slots=True)
class Plan:
    """A corpus, what is made of it, and where that goes.

    course:    the task, and what members of it look like
    trunk:     how a model of the whole corpus is trained first, from whose weights all members
        start; none: members start from the base, or from scratch
    out:       the model repository; the ensemble gets a folder of its name in it
    work:      the run folder
    precision: that members are shipped in, as `precision.choose` takes it
    threads:   of torch, in each process; another number may round differently
    search:    what of the schedule is found by trials, on the largest part
    arguments: what the user asked for, as `arguments.read` takes it
    """

    course: TrainingTask[Any]
    corpus: Sequence[Source]
    valid: Sequence[Source]
    partitioning: Partitioning
    ensemble: str
    out: Path
    work: Path
    description: str = ""
    license: str = ""
    version: str = "1"
    precision: str = AUTO
    seed: int = 0
    threads: int = 2
    schedule: Schedule = field(default_factory=Schedule)
    trunk: Schedule | None = None
    search: SearchSpace | None = None
    arguments: Mapping[str, TomlValue] = field(default_factory=dict)


def deciding(plan: Plan) -> dict[str, TomlValue]:
    """What the weights of the members depend on, but for the data and the machine."""
    chosen: dict[str, TomlValue] = {
        "task": plan.course.task,
        "partitioning": plan.partitioning.description,
        "seed": plan.seed,
        "threads": plan.threads,
        "schedule": _flat(plan.schedule),
        "course": {"base": plan.course.base, **_mapping(_flat(plan.course))},
    }
    parts = {"trunk": plan.trunk, "search": plan.search}
    return chosen | {name: _flat(part) for name, part in parts.items() if part}


def data(plan: Plan) -> list[dict[str, TomlValue]]:
    """The files that are learned from and judged by, with their digests.

    Raises TrainingError when one is not there.
    """
    return [
        {
            "split": split,
            "name": source.name,
            "file": f"{source.path.parent.name}/{source.path.name}",
            "sha256": _digest(source.path),
        }
        for split, sources in (("train", plan.corpus), ("valid", plan.valid))
        for source in sources
    ]


def _digest(path: Path) -> str:
    try:
        return sha256(path)
    except OSError as error:
        raise TrainingError(
            f"{path}: there is no such corpus file that can be read ({error.strerror})."
        ) from None


def _flat(value: object) -> TomlValue:
    """Dataclasses as tables; what is nothing is left out, and so is where something lies."""
    if isinstance(value, Source):
        return {"name": value.name, "sha256": _digest(value.path)}
    if dataclasses.is_dataclass(value):
        own = {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
        return _flat(own)
    if isinstance(value, Mapping):
        kept = {str(key): own for key, own in value.items() if not isinstance(own, Path)}
        return {key: _flat(own) for key, own in kept.items() if own is not None}
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, Sequence):
        return [_flat(own) for own in value]
    return str(value)


def _mapping(value: TomlValue) -> Mapping[str, TomlValue]:
    assert isinstance(value, Mapping)  # noqa: S101  # a course is a dataclass
    return value
