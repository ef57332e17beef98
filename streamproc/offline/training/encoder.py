"""Members cut out of a BERT base that score a window in one call: how they learn and are judged."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

import torch
from tokenizers import Tokenizer
from torch import nn

from streamproc.errors import TrainingError
from streamproc.offline.corpus.partitioning import Item
from streamproc.offline.corpus.rows import Source
from streamproc.offline.corpus.text_samples import TextSample, read_wordings, sampled
from streamproc.offline.training.base import Base
from streamproc.offline.training.member import Member
from streamproc.offline.training.prefix import Prefix, make_prefix
from streamproc.offline.training.pruning import PruneConfig, prune_model
from streamproc.offline.training.scoring import RunBatch, WindowSize
from streamproc.offline.training.shared_artifacts import SharedArtifacts
from streamproc.offline.training.shipping import ship_encoder
from streamproc.offline.training.training_task import (
    ExportedMember,
    MemberTrainer,
    Metrics,
    TaskSetup,
    TrainingTask,
)
from streamproc.offline.training.vocabulary import trim_vocabulary
from streamproc.offline.training.windows import NO_TARGET, Batch, Cut, batches, draw

RecordT = TypeVar("RecordT", bound=Item)


@dataclass(frozen=True, slots=True)
class Learning:
    """What an encoder learns from. windows_per_example: of a long text, drawn anew each epoch."""

    max_tokens: int = 128
    windows_per_example: int = 2


class EncodedDataset(ABC):
    """Records, tokenized: what there is to learn or to be judged by."""

    @abstractmethod
    def windows(self, max_tokens: int, overlap_tokens: int = 0) -> Cut:
        """The records cut into windows of at most max_tokens, special tokens included."""

    def lessons(self, max_tokens: int) -> Cut:
        """The windows that are learned from."""
        return self.windows(max_tokens)

    @abstractmethod
    def judge(self, run: RunBatch, size: WindowSize) -> Metrics:
        """How well a model does on whole records, not windows."""


@dataclass(frozen=True)
class EncoderCourse(TrainingTask[RecordT], Generic[RecordT]):
    """A course whose members start from a BERT base.

    shape:  of what each member has for itself
    frozen: so many of the base's first layers, and its embeddings, stay as they are and run once
        before all members, which then are only the layers of their shape
    shared: files that words are chosen and frozen layers are quantised by, in place of the corpus;
        ensembles of the same base, words and frozen layers share these
    """

    model: ClassVar[str]  # the class of transformers, such as BertForTokenClassification

    start: Base
    vocabulary_size: int = 4200
    shape: PruneConfig = field(default_factory=PruneConfig)
    learning: Learning = field(default_factory=Learning)
    window: WindowSize = field(default_factory=WindowSize)
    frozen: int = 0
    shared: Sequence[Source] = ()

    @property
    def base(self) -> str:
        return self.start.description

    def prepare(self, train: Iterable[RecordT], seed: int) -> SharedArtifacts:
        longest = max(self.window.max_tokens, self.learning.max_tokens)
        if longest > self.shape.positions:
            raise TrainingError(
                f"Windows of {longest} tokens do not fit a model of {self.shape.positions} "
                "positions; make the windows shorter or keep more positions."
            )
        shared = chain.from_iterable(map(read_wordings, self.shared))
        wordings = sampled(shared if self.shared else self.wordings(train), seed)
        # Once, not once a question that is asked of it.
        texts = dict.fromkeys(text for wording in wordings for text in wording if text)
        words = trim_vocabulary(self.start.folder, texts, self.vocabulary_size)
        frozen = (self.start.folder, self.frozen, words, wordings, self.shape.positions)
        prefix = make_prefix(*frozen).model if self.frozen else None
        return SharedArtifacts(words.tokenizer, words.kept, prefix)

    def classroom(self, groundwork: SharedArtifacts, seed: int) -> EncoderClassroom[RecordT]:
        return EncoderClassroom(self, groundwork, seed)

    def labels(self, train: Sequence[RecordT] | None = None) -> Sequence[str]:
        """The ensemble's labels, or those of them that a member can learn from its own records."""
        return ()

    def wordings(self, records: Iterable[RecordT]) -> Iterator[TextSample]:
        """What words are chosen by."""
        return ((record.text, None) for record in records)

    @abstractmethod
    def exercise(
        self, records: Sequence[RecordT], tokenizer: Tokenizer, labels: Sequence[str], seed: int
    ) -> EncodedDataset:
        """The records as something to learn. labels: of the member, in the order of its outputs."""


class EncoderClassroom(TaskSetup[RecordT], Generic[RecordT]):
    def __init__(
        self, course: EncoderCourse[RecordT], groundwork: SharedArtifacts, seed: int
    ) -> None:
        self._course, self._seed = course, seed
        self._kept = groundwork.kept
        self.tokenizer = groundwork.tokenizer
        self.prefix = Prefix(groundwork.prefix) if groundwork.prefix else None
        self.labels = course.labels()
        self.window = course.window

    def lesson(
        self, train: Sequence[RecordT], valid: Sequence[RecordT], batch_size: int, seed: int
    ) -> MemberTrainer[Batch]:
        course = self._course
        labels = course.labels(train)
        kept = self._kept
        model = prune_model(
            course.start.folder, course.shape, kept, labels, self._seed, course.model
        )
        return EncoderLesson(
            Member(model, course.task, self.prefix),
            self.tokenizer,
            course.exercise(train, self.tokenizer, labels, seed),
            course.exercise(valid, self.tokenizer, labels, seed),
            course,
            batch_size,
            seed,
            labels,
        )


class EncoderLesson(MemberTrainer[Batch]):
    def __init__(
        self,
        member: Member,
        tokenizer: Tokenizer,
        train: EncodedDataset,
        valid: EncodedDataset,
        course: EncoderCourse[RecordT],
        batch_size: int,
        seed: int,
        labels: Sequence[str],
    ) -> None:
        self.model, self._member = member.model, member
        self._tokenizer = tokenizer
        self._train, self._valid = train, valid
        self._course, self._batch_size, self._seed = course, batch_size, seed
        self._labels = labels
        self._windows = train.lessons(course.learning.max_tokens)
        self._padding = tokenizer.token_to_id("[PAD]")
        drawn = len(self._drawn(random.Random(0)))  # noqa: S311  # only counted
        self.steps = -(-drawn // batch_size)

    def batches(self, order: random.Random) -> Iterator[Batch]:
        return batches(self._drawn(order), self._batch_size, self._padding, order)

    def loss(self, batch: Batch) -> torch.Tensor:
        return cross_entropy(self._member.logits(batch), batch)

    def judge(self) -> Metrics:
        return self._valid.judge(self._member.run, self._course.window)

    def ship(self, work: Path, target: Path, precision: str) -> ExportedMember:
        size = self._course.window
        return ship_encoder(
            self._member,
            self._tokenizer,
            work=work,
            target=target / "model.onnx",
            precision=precision,
            own=self._train.windows(size.max_tokens, size.overlap_tokens),
            checked=self._valid.windows(size.max_tokens, size.overlap_tokens),
            judge=lambda run: self._valid.judge(run, size),
            seed=self._seed,
            labels=self._labels,
        )

    def _drawn(self, order: random.Random) -> Cut:
        return draw(self._windows, self._course.learning.windows_per_example, order)


def cross_entropy(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """The mean loss of what is right: of a label, of each token's label, of a span's two ends.

    logits: (windows, labels), (windows, tokens, labels), or (windows, tokens, 2)
    """
    targets = torch.from_numpy(batch.targets).to(logits.device)
    if targets.ndim == 2 and targets.shape[1] == 2 and logits.shape[-1] == 2:
        ends = logits.transpose(1, 2)
        padding = torch.from_numpy(batch.attention_mask == 0).to(logits.device)[:, None, :]
        logits = ends.masked_fill(padding, -1e9)  # no span ends in what is not there
    return nn.functional.cross_entropy(
        logits.flatten(0, -2), targets.flatten(), ignore_index=NO_TARGET
    )
