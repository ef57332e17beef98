"""From a corpus to an ensemble on disk: partition, train, export, check, describe."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from tokenizers import Tokenizer

from streamproc.corpus.partitioning import Partitioning, partition
from streamproc.corpus.records import Columns, Record, read_records
from streamproc.errors import TrainingError
from streamproc.training.base import Base
from streamproc.training.examples import Example, tokenize
from streamproc.training.fitting import Epoch, Schedule, Step, fit
from streamproc.training.manifests import EnsembleEntry, MemberEntry, sha256, write_manifest
from streamproc.training.scoring import WindowSize
from streamproc.training.shape import Shape, cut_model
from streamproc.training.shipping import Shipped, ship
from streamproc.training.vocabulary import trim_vocabulary


@dataclass(frozen=True, slots=True)
class Plan:
    """All that decides a training run.

    labels:  the ensemble's label for each spelling in the corpus, by output index
    out:     the model repository; the ensemble gets a folder of its name in it
    work:    where the fp32 members are left, as Hugging Face folders
    threads: of torch; another number may round differently
    """

    corpus: Path
    valid: Path
    partitioning: Partitioning
    ensemble: str
    labels: Mapping[str, str]
    out: Path
    work: Path
    base: Base
    description: str = ""
    licence: str = ""
    version: str = "1"
    seed: int = 0
    threads: int = 2
    vocabulary_size: int = 4200
    columns: Columns = field(default_factory=Columns)
    shape: Shape = field(default_factory=Shape)
    schedule: Schedule = field(default_factory=Schedule)
    window: WindowSize = field(default_factory=WindowSize)


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


Progress = PartStarted | Step | Epoch | MemberShipped | EnsembleWritten


def train_ensemble(plan: Plan) -> Iterator[Progress]:
    """Train one member for each part of the corpus and write the ensemble, telling what happens.

    Nothing is written into `plan.out` for a member before it has passed its checks, and the
    manifest comes last. Raises TrainingError when the corpus can't be trained on or a check fails.
    """
    _check_plan(plan)
    torch.set_num_threads(plan.threads)
    records = tuple(read_records(plan.corpus, plan.columns))
    held_out = tuple(read_records(plan.valid, plan.columns))
    spellings = {spelling: index for index, spelling in enumerate(plan.labels)}
    for path, some in ((plan.corpus, records), (plan.valid, held_out)):
        _check_labels(path, some, spellings)
    parts = partition(records, plan.partitioning)
    vocabulary = trim_vocabulary(
        plan.base.folder, (record.text for record in records), plan.vocabulary_size
    )
    tokenizer = vocabulary.tokenizer
    valid = tokenize(held_out, tokenizer, spellings)
    digest = sha256(plan.corpus)

    folder = plan.out / plan.ensemble
    members: list[tuple[str, Shipped, str]] = []
    for number, (part, own) in enumerate(parts.items(), start=1):
        yield PartStarted(part, number, len(parts), len(own))
        model = cut_model(
            plan.base.folder, plan.shape, vocabulary.kept, tuple(plan.labels.values()), plan.seed
        )
        train = tokenize(own, tokenizer, spellings)
        judged = _validation(plan, part, held_out, valid, tokenizer, spellings)
        # Each part draws its own order; the same part the same one, whatever else is trained.
        seed = plan.seed * 1000 + number
        yield from fit(model, train, judged, tokenizer, plan.schedule, plan.window, seed)
        shipped = ship(
            model,
            tokenizer,
            work=plan.work / part,
            target=folder / part / plan.version / "model.onnx",
            calibration=random.Random(seed).sample(train, min(len(train), 300)),  # noqa: S311
            valid=valid,
            window=plan.window,
        )
        members.append((part, shipped, _told(plan, part, own, digest)))
        yield MemberShipped(part, shipped)

    vocabulary.write(folder / "tokenizer.json")
    yield EnsembleWritten(_describe(plan, folder, members))


def _check_plan(plan: Plan) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", plan.ensemble):
        raise TrainingError(
            f"Ensemble {plan.ensemble!r}: a name is lower-case letters, digits, '.', '_' and '-'."
        )
    longest = max(plan.window.max_tokens, plan.schedule.max_tokens)
    if longest > plan.shape.positions:
        raise TrainingError(
            f"Windows of {longest} tokens do not fit a model of {plan.shape.positions} positions; "
            "make the windows shorter or keep more positions."
        )


def _check_labels(path: Path, records: Sequence[Record], spellings: Mapping[str, int]) -> None:
    found = {record.label for record in records}
    if not found:
        raise TrainingError(f"{path}: holds no records.")
    if unknown := sorted(found - spellings.keys()):
        raise TrainingError(
            f"{path}: labels {', '.join(unknown)} are not named; "
            f"named are {', '.join(spellings)}. Name every label of the corpus with --label."
        )


def _validation(
    plan: Plan,
    part: str,
    held_out: Sequence[Record],
    valid: Sequence[Example],
    tokenizer: Tokenizer,
    spellings: dict[str, int],
) -> Sequence[Example]:
    """What tells when a member has converged: texts like its own, or all where parts are alike."""
    if not plan.partitioning.by_content:
        return valid
    own = [record for record in held_out if plan.partitioning.part_of(record) == part]
    return tokenize(own, tokenizer, spellings) or valid


def _told(plan: Plan, part: str, own: Sequence[Record], digest: str) -> str:
    name = f"{plan.corpus.parent.name}/{plan.corpus.name}"
    return f"{name}, {part} ({plan.partitioning.description}), {len(own)} records, sha256 {digest}"


def _describe(plan: Plan, folder: Path, members: Sequence[tuple[str, Shipped, str]]) -> Path:
    ensemble = EnsembleEntry(
        name=plan.ensemble,
        task="text-classification",
        description=plan.description,
        labels=tuple(plan.labels.values()),
        licence=plan.licence,
        window=plan.window,
    )
    total = sum(shipped.int8_accuracy for _, shipped, _ in members) or 1.0
    entries = [
        MemberEntry(
            name=part,
            version=plan.version,
            file=shipped.path,
            precision="int8",
            weight=shipped.int8_accuracy / total,
            provenance={"base": plan.base.description, "corpus": corpus},
            metrics={
                "validation_accuracy": shipped.int8_accuracy,
                "validation_accuracy_fp32": shipped.fp32_accuracy,
            },
        )
        for part, shipped, corpus in members
    ]
    return write_manifest(folder, ensemble, folder / "tokenizer.json", entries)
