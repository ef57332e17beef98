"""What differs between tasks when a corpus becomes an ensemble: the protocol each task fills in."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import torch
from tokenizers import Tokenizer
from torch import nn

from streamproc.offline.corpus.partitioning import CorpusRecord
from streamproc.offline.corpus.rows import Source
from streamproc.offline.training.prefix import Prefix
from streamproc.offline.training.shared_artifacts import SharedArtifacts
from streamproc.repository.toml import TomlValue
from streamproc.serving.chunking.windows import Window

RecordT = TypeVar("RecordT", bound=CorpusRecord)
BatchT = TypeVar("BatchT")


@dataclass(frozen=True, slots=True)
class Metrics:
    """How well a model does on validation records.

    loss:            mean negative log-likelihood of what is right, in nats
    metrics:         by name; of the first, more is better
    selected_by_loss: whether two epochs are compared by loss, and not by the first metric
    """

    loss: float
    metrics: Mapping[str, float]
    selected_by_loss: bool = False

    @property
    def selection_key(self) -> tuple[float, float]:
        """What two epochs are compared by: more is better."""
        if self.selected_by_loss:
            return -self.loss, 0.0
        return next(iter(self.metrics.values())), -self.loss


@dataclass(frozen=True, slots=True)
class ExportedMember:
    """A member in the repository, and what its checks found.

    path:              the ONNX file that the manifest names; of an encoder-decoder the encoder
    decoder:           the other file of an encoder-decoder
    precision:         as the manifest says it
    export_difference: largest difference of scores between torch and fp32 ONNX
    validation, validation_fp32: on all validation records by ONNX Runtime, as it is exported and
        in fp32
    labels:            the ensemble's label for each output; none where the task has no labels
    why:               what spoke against smaller forms
    """

    path: Path
    decoder: Path | None
    precision: str
    export_difference: float
    validation_fp32: Metrics
    validation: Metrics
    labels: Sequence[str] = ()
    why: Sequence[str] = ()

    @property
    def size_bytes(self) -> int:
        """Of all its files together."""
        return sum(file.stat().st_size for file in (self.path, self.decoder) if file)


class MemberTrainer(ABC, Generic[BatchT]):
    """One member: its model, what that learns from, how it is measured and exported.

    steps: batches an epoch
    too_long: records that it can't learn from, as they are longer than what it reads or writes
    """

    model: nn.Module
    steps: int
    too_long: int = 0

    @abstractmethod
    def batches(self, order: random.Random) -> Iterator[BatchT]:
        """An epoch's batches, in the order drawn."""

    @abstractmethod
    def loss(self, batch: BatchT) -> torch.Tensor:
        """The mean loss of a batch, to be minimised."""

    @abstractmethod
    def evaluate(self) -> Metrics:
        """How well the model, as it is now, does on the validation records."""

    @abstractmethod
    def export(self, work: Path, target: Path, precision: str) -> ExportedMember:
        """Export the member into the folder `target`; its other forms stay in the folder `work`.

        precision: as `export_smallest` takes it

        Raises TrainingError when ONNX and torch disagree, or when an answer depends on what it is
        batched with. Nothing is written into `target` before.
        """


@dataclass(frozen=True, slots=True)
class TaskSetup(Generic[RecordT]):
    """What the members of one ensemble share: tokenizer, labels, how they are run.

    window:     the manifest's `[window]`
    new_member: a member as it starts out, of training and validation records, the size of its
        batches, and the seed of all that is drawn for it but its weights
    labels:     of the ensemble; none where the task has no labels
    decoding:   the manifest's `[decoding]`; none where members score a text in one call
    prefix:     frozen layers that run before all members; none where members take tokens
    """

    tokenizer: Tokenizer
    window: Window
    new_member: Callable[[Sequence[RecordT], Sequence[RecordT], int, int], MemberTrainer[Any]]
    labels: Sequence[str] = ()
    decoding: Mapping[str, TomlValue] | None = None
    prefix: Prefix | None = None


class TrainingTask(ABC, Generic[RecordT]):
    """A task as something to be learned; a frozen dataclass of all that decides how.

    base: of a manifest's provenance: what members start from
    """

    task: ClassVar[str]

    @property
    @abstractmethod
    def base(self) -> str: ...

    @abstractmethod
    def read(self, source: Source) -> Iterator[RecordT]:
        """The records of a file; raises TrainingError saying where it can't be learned from."""

    @abstractmethod
    def prepare(self, train: Iterable[RecordT], seed: int) -> SharedArtifacts:
        """What members share, made of the whole corpus, which is read once.

        seed: of what is drawn from a corpus too large to be looked at whole
        Raises TrainingError.
        """

    @abstractmethod
    def setup(self, shared: SharedArtifacts, seed: int) -> TaskSetup[RecordT]:
        """Where members are made. seed: of the weights that all members start from."""
