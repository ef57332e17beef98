"""What a user asked for on the command line, as it is written into `run.toml` and read again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

from streamproc.errors import SettingsError, TrainingError
from streamproc.offline.corpus.description import read_partitions
from streamproc.offline.corpus.items import labels_in
from streamproc.offline.corpus.partitioning import Partitioning, partitioning_from
from streamproc.offline.corpus.records import Columns
from streamproc.offline.corpus.rows import Source, source_from
from streamproc.offline.training.plan import Plan
from streamproc.offline.training.precision import AUTO, precision_from
from streamproc.offline.training.recipes import LABELLED, Choice, course_of
from streamproc.offline.training.schedule import Schedule
from streamproc.offline.training.search_space import SearchSpace, read_space
from streamproc.repository.toml import TomlValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The options of `streamproc train` that decide a run, by their names; see its help.

    corpus, valid: [NAME=]FILE
    work:          the folder of runs; the run folder is in it, called as the ensemble
    """

    ensemble: str
    partitions: Path | None = None
    corpus: Sequence[str] = ()
    valid: Sequence[str] = ()
    label: Sequence[str] = ()
    task: str = "text-classification"
    partition_by: str | None = None
    out: Path = Path("models")
    work: Path = Path("work")
    base: Path | None = None
    text_field: str = "text"
    label_field: str = "label"
    description: str = ""
    license: str = ""
    version: str = "1"
    precision: str = AUTO
    vocabulary: int = 4200
    layers: str = "0,1"
    freeze_layers: int = 0
    prefix_corpus: Sequence[str] = ()
    heads: int | None = None
    width: int = 128
    ffn_width: int = 512
    window: int = 256
    overlap: int = 32
    epochs: int = 4
    batch: int = 32
    learning_rate: float = 3e-4
    warmup: float = 0.1
    weight_decay: float = 0.01
    patience: int = 2
    checkpoint_steps: int = 500
    trunk_epochs: int = 0
    trunk_learning_rate: float = 3e-4
    trials: int = 0
    search: Path | None = None
    seed: int = 0
    threads: int = 2

    def written(self) -> Mapping[str, TomlValue]:
        """As `run.toml` has it: files by their whole path, so that it can be read from anywhere."""
        own = {**asdict(self), **{key: _located(getattr(self, key)) for key in _FILES}}
        return {
            key: str(value.absolute()) if isinstance(value, Path) else value
            for key, value in own.items()
            if value is not None
        }

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> Self:
        """What was written; raises TrainingError when it is something else."""
        known = {field.name: field for field in fields(cls)}
        if not written or (unknown := written.keys() - known.keys()):
            what = ", ".join(sorted(unknown)) if written else "nothing"
            raise TrainingError(
                f"run.toml, [arguments]: {what}; that was not written by `streamproc train`."
            )
        values: dict[str, Any] = {
            key: Path(value) if "Path" in str(known[key].type) else value
            for key, value in written.items()
        }
        return cls(**values)

    def plan(
        self, *, run: Path | None = None, out: Path | None = None, precision: str | None = None
    ) -> Plan:
        """The plan they amount to; raises TrainingError, SettingsError.

        run, out, precision: the run folder, the model repository, and in what members are shipped,
            where they are others
        """
        material = _material(self)
        # As they were found, so that `run.toml` has them and nobody reads a corpus for them again.
        told = replace(self, label=tuple(self.label or material.labels))
        schedule = Schedule(
            epochs=self.epochs,
            patience=self.patience,
            batch_size=self.batch,
            learning_rate=self.learning_rate,
            warmup_share=self.warmup,
            weight_decay=self.weight_decay,
            checkpoint_steps=self.checkpoint_steps,
        )
        trunk = replace(schedule, epochs=self.trunk_epochs, learning_rate=self.trunk_learning_rate)
        return Plan(
            course=course_of(told.task, _choice(told)),
            corpus=material.train,
            valid=material.valid,
            partitioning=material.by,
            ensemble=self.ensemble,
            out=out or self.out,
            work=run or self.work / self.ensemble,
            description=self.description,
            license=self.license,
            version=self.version,
            precision=precision_from(precision or self.precision),
            seed=self.seed,
            threads=self.threads,
            schedule=schedule,
            trunk=trunk if self.trunk_epochs else None,
            search=_search(self.trials, self.search),
            arguments=told.written(),
        )


_FILES = ("corpus", "valid", "prefix_corpus")


def _located(files: Sequence[str]) -> list[str]:
    sources = (source_from(written) for written in files)
    return [f"{source.name}={source.path.absolute()}" for source in sources]


@dataclass(frozen=True, slots=True)
class _Material:
    """What there is to learn from. labels: as --label has them, if they are known."""

    train: Sequence[Source]
    valid: Sequence[Source]
    by: Partitioning
    labels: Sequence[str] = ()


def _material(arguments: Arguments) -> _Material:
    corpus, valid, by = arguments.corpus, arguments.valid, arguments.partition_by
    if arguments.partitions:
        if corpus or valid or by:
            raise SettingsError(
                "--partitions brings its own --corpus, --valid and --partition-by: leave these out."
            )
        cut = read_partitions(arguments.partitions)
        return _Material(cut.sources("train"), cut.sources("valid"), cut.by, _named(cut.labels))
    if not corpus or not valid:
        raise SettingsError("Name --partitions FOLDER, or --corpus FILE and --valid FILE.")
    train = [source_from(written) for written in corpus]
    found: Sequence[str] = ()
    if arguments.task in LABELLED and not arguments.label:
        found = labels_in(train, Columns(arguments.text_field, arguments.label_field))
        if len(found) == 1 and arguments.task == "text-classification":
            raise TrainingError(
                f"{', '.join(str(source.path) for source in train)}: {found[0]!r} is the label of "
                "every text, and there is nothing to tell apart: add texts of another label, or "
                "say with --label-field which field has it."
            )
    return _Material(
        train,
        [source_from(written) for written in valid],
        partitioning_from(by or "hash:3"),
        _named(found),
    )


def _named(labels: Sequence[str]) -> list[str]:
    return [f"{label}={label}" for label in labels]


def _search(trials: int, space: Path | None) -> SearchSpace | None:
    if not trials:
        if space:
            raise SettingsError("--search declares what is tried; say how often, with --trials.")
        return None
    return SearchSpace(trials, read_space(space)) if space else SearchSpace(trials)


def _choice(arguments: Arguments) -> Choice:
    return Choice(
        labels=tuple(arguments.label),
        base=arguments.base,
        text_field=arguments.text_field,
        label_field=arguments.label_field,
        vocabulary_size=arguments.vocabulary,
        layers=arguments.layers,
        heads=arguments.heads,
        width=arguments.width,
        ffn_width=arguments.ffn_width,
        window_tokens=arguments.window,
        overlap_tokens=arguments.overlap,
        freeze_layers=arguments.freeze_layers,
        prefix_corpus=[source_from(written) for written in arguments.prefix_corpus],
    )
