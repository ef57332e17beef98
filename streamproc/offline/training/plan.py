"""A training run, ready to begin: its options, and what they refer to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamproc.errors import TrainingError
from streamproc.offline.corpus.description import read_partitions
from streamproc.offline.corpus.items import labels_in
from streamproc.offline.corpus.partitioning import Partitioning, partitioning_from
from streamproc.offline.corpus.records import Columns
from streamproc.offline.corpus.rows import Source, source_from
from streamproc.offline.training.base import FindBase, find_base
from streamproc.offline.training.config import LABELLED, TrainConfig
from streamproc.offline.training.recipes import training_task
from streamproc.offline.training.training_task import TrainingTask


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """config: its labels are those that were found, where none were given

    recipe: the task, and what members of it look like
    folder: of the run
    """

    config: TrainConfig
    recipe: TrainingTask[Any]
    corpus: Sequence[Source]
    valid: Sequence[Source]
    partitioning: Partitioning
    folder: Path

    @property
    def prefix_corpus(self) -> Sequence[Source]:
        """What the vocabulary is chosen by, where it is not the corpus."""
        return [source_from(written) for written in self.config.prefix_corpus]


def plan_from(
    config: TrainConfig, folder: Path | None = None, find: FindBase = find_base
) -> TrainingPlan:
    """The run that some options describe; raises TrainingError.

    folder: of the run, where it is another than the options name
    find: finds the base that the options name
    """
    labels: Sequence[str] = ()
    partitioning: Partitioning
    if config.partitions:
        cut = read_partitions(config.partitions)
        corpus, valid, partitioning = cut.sources("train"), cut.sources("valid"), cut.by
        labels = cut.labels
    else:
        corpus = [source_from(written) for written in config.corpus]
        valid = [source_from(written) for written in config.valid]
        partitioning = partitioning_from(config.partition_by or "hash:3")
        if config.task in LABELLED and not config.label:
            labels = _labels_in(corpus, config)
    # Written down as they were found, so that nobody reads a corpus for them again.
    label = config.label or tuple(f"{name}={name}" for name in labels)
    config = config.model_copy(update={"label": label})
    return TrainingPlan(
        config,
        training_task(config, find),
        corpus,
        valid,
        partitioning,
        folder or config.work / config.ensemble,
    )


def _labels_in(corpus: Sequence[Source], config: TrainConfig) -> Sequence[str]:
    found = labels_in(corpus, Columns(config.text_field, config.label_field))
    if len(found) == 1 and config.task == "text-classification":
        raise TrainingError(
            f"{', '.join(str(source.path) for source in corpus)}: {found[0]!r} is the label of "
            "every text, and there is nothing to tell apart: add texts of another label, or "
            "say with --label-field which field has it."
        )
    return found
