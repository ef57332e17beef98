"""From a corpus to an ensemble on disk: partition, train, export, check, describe."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from streamproc.corpus.partitioning import Partitioning, partition
from streamproc.corpus.rows import Source, described
from streamproc.digests import sha256
from streamproc.errors import TrainingError
from streamproc.repository.repository import PREFIXES
from streamproc.training.course import Course, Shipped
from streamproc.training.fitting import Epoch, Schedule, Step, Weights, branch, fit
from streamproc.training.manifests import EnsembleEntry, MemberEntry, write_manifest


@dataclass(frozen=True, slots=True)
class Plan:
    """All that decides a training run.

    course:  the task, and what members of it look like
    trunk:   how a model of the whole corpus is trained first, from whose weights all members
        start; none: members start from the base, or from scratch
    out:     the model repository; the ensemble gets a folder of its name in it
    work:    where the fp32 members are left, as Hugging Face folders
    threads: of torch; another number may round differently
    """

    course: Course[Any]
    corpus: Sequence[Source]
    valid: Sequence[Source]
    partitioning: Partitioning
    ensemble: str
    out: Path
    work: Path
    description: str = ""
    licence: str = ""
    version: str = "1"
    seed: int = 0
    threads: int = 2
    schedule: Schedule = field(default_factory=Schedule)
    trunk: Schedule | None = None


@dataclass(frozen=True, slots=True)
class TrunkStarted:
    """Training of the model that members branch off begins."""

    records: int


@dataclass(frozen=True, slots=True)
class PartStarted:
    """A member's training begins."""

    part: str
    number: int
    parts: int
    records: int


@dataclass(frozen=True, slots=True)
class MemberShipped:
    """A member was exported, checked and quantised."""

    part: str
    shipped: Shipped


@dataclass(frozen=True, slots=True)
class EnsembleWritten:
    """The manifest was written; the ensemble can be served."""

    manifest: Path


Progress = TrunkStarted | PartStarted | Step | Epoch | MemberShipped | EnsembleWritten


def train_ensemble(plan: Plan) -> Iterator[Progress]:
    """Train one member for each part of the corpus and write the ensemble, telling what happens.

    Nothing is written into `plan.out` for a member before it has passed its checks, and the
    manifest comes last. Raises TrainingError when the corpus can't be trained on or a check fails.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", plan.ensemble):
        raise TrainingError(
            f"Ensemble {plan.ensemble!r}: a name is lower-case letters, digits, '.', '_' and '-'."
        )
    torch.set_num_threads(plan.threads)
    records, held_out = _records(plan, plan.corpus), _records(plan, plan.valid)
    parts = partition(records, plan.partitioning)
    classroom = plan.course.open(records, plan.seed)
    digests = ", ".join(sha256(source.path) for source in plan.corpus)

    trunk: Weights = {}
    if plan.trunk:
        yield TrunkStarted(len(records))
        seed = plan.seed * 1000
        lesson = classroom.lesson(records, held_out, plan.trunk.batch_size, seed)
        yield from fit(lesson, plan.trunk, seed)
        trunk = lesson.model.state_dict()

    folder = plan.out / plan.ensemble
    members: list[tuple[str, Shipped, str]] = []
    for number, (part, own) in enumerate(parts.items(), start=1):
        yield PartStarted(part, number, len(parts), len(own))
        # Each part draws its own order; the same part the same one, whatever else is trained.
        seed = plan.seed * 1000 + number
        judged = _validation(plan, part, held_out)
        lesson = classroom.lesson(own, judged, plan.schedule.batch_size, seed)
        branch(lesson.model, trunk)
        yield from fit(lesson, plan.schedule, seed)
        shipped = lesson.ship(plan.work / part, folder / part / plan.version)
        told = f"{part} ({plan.partitioning.description}), {len(own)} records"
        members.append((part, shipped, f"{described(plan.corpus)}, {told}, sha256 {digests}"))
        yield MemberShipped(part, shipped)

    prefix = classroom.prefix
    if prefix:
        path = plan.out / PREFIXES / f"{prefix.sha256}.onnx"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(prefix.model)
    # Without line breaks: half of the file would be indentation.
    (folder / "tokenizer.json").write_text(
        classroom.tokenizer.to_str(pretty=False), encoding="utf-8"
    )
    ensemble = EnsembleEntry(
        name=plan.ensemble,
        task=plan.course.task,
        description=plan.description,
        labels=classroom.labels,
        licence=plan.licence,
        window=classroom.window,
        decoding=classroom.decoding,
        prefix={"sha256": prefix.sha256, "size_bytes": len(prefix.model), "precision": "int8"}
        if prefix
        else None,
    )
    entries = _entries(plan, members)
    yield EnsembleWritten(write_manifest(folder, ensemble, folder / "tokenizer.json", entries))


def _records(plan: Plan, sources: Sequence[Source]) -> tuple[Any, ...]:
    records = tuple(record for source in sources for record in plan.course.read(source))
    if not records:
        raise TrainingError(f"{', '.join(str(s.path) for s in sources)}: holds no records.")
    return records


def _validation(plan: Plan, part: str, held_out: Sequence[Any]) -> Sequence[Any]:
    """What tells when a member has converged: texts like its own, or all where parts are alike."""
    if not plan.partitioning.by_content:
        return held_out
    own = [record for record in held_out if plan.partitioning.part_of(record) == part]
    return own or held_out


def _entries(plan: Plan, members: Sequence[tuple[str, Shipped, str]]) -> list[MemberEntry]:
    reached = [next(iter(shipped.shipped.metrics.values())) for _, shipped, _ in members]
    total = sum(reached) or 1.0
    return [
        MemberEntry(
            name=part,
            version=plan.version,
            file=shipped.path,
            decoder=shipped.decoder,
            precision=shipped.precision,
            labels=shipped.labels,
            weight=max(own / total, 1e-4),
            provenance={"base": plan.course.base, **_trunk(plan), "corpus": corpus},
            metrics={
                **{f"validation_{k}": v for k, v in shipped.shipped.metrics.items()},
                **{f"validation_{k}_fp32": v for k, v in shipped.fp32.metrics.items()},
            },
        )
        for (part, shipped, corpus), own in zip(members, reached, strict=True)
    ]


def _trunk(plan: Plan) -> dict[str, str]:
    """What a member's provenance says of the model that it branched off, if it did."""
    if plan.trunk is None:
        return {}
    return {"trunk": f"one model of the whole corpus, at most {plan.trunk.epochs} epochs"}
