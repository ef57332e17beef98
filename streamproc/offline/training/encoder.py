"""Members cut out of a BERT base that score a chunk in one call: how they learn, and how well."""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from torch import nn

from streamproc.errors import Invalid, TrainingError
from streamproc.offline.corpus.partitioning import CorpusRecord
from streamproc.offline.corpus.rows import Source
from streamproc.offline.corpus.text_samples import TextSample, read_text_samples, sampled
from streamproc.offline.evaluation.eval_task import EvalTask, JsonObject
from streamproc.offline.training.base import Base
from streamproc.offline.training.devices import tensor
from streamproc.offline.training.encoder_export import export_encoder_member
from streamproc.offline.training.labelled_chunks import (
    NO_TARGET,
    LabelledBatch,
    LabelledChunk,
    LabelledChunks,
    draw,
)
from streamproc.offline.training.member import Member
from streamproc.offline.training.prefix import Prefix, make_prefix
from streamproc.offline.training.pruning import PruneConfig, prune_model
from streamproc.offline.training.shared_artifacts import SharedArtifacts
from streamproc.offline.training.training_task import (
    ExportedMember,
    MemberTrainer,
    Metrics,
    TaskSetup,
    TrainingTask,
)
from streamproc.offline.training.validation import Validation
from streamproc.offline.training.vocabulary import trim_vocabulary
from streamproc.serving.chunking.tokens import TextTokenizer
from streamproc.serving.chunking.windows import Chunk, Window
from streamproc.serving.ensembling.labels import LabelMap
from streamproc.serving.inference.batch import Batch
from streamproc.serving.tasks.catalogue import task_named
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec, MemberProfile
from streamproc.serving.tasks.task import Job
from streamproc.types import FloatArray, Int64Array

RecordT = TypeVar("RecordT", bound=CorpusRecord)


@dataclass(frozen=True, slots=True)
class Learning:
    """What an encoder learns from. windows_per_example: of a long text, drawn anew each epoch."""

    max_tokens: int = 128
    windows_per_example: int = 2


@dataclass(frozen=True)
class EncoderTask(TrainingTask[RecordT], Generic[RecordT]):
    """A task whose members start from a BERT base.

    What serving has to be told of a record is its request, so that members learn from exactly the
    chunks that a worker makes, and are measured by what it would answer.

    shape:  of what each member has for itself
    frozen: so many of the base's first layers, and its embeddings, stay as they are and run once
        before all members, which then are only the layers of their shape
    shared: files that words are chosen and frozen layers are quantised by, in place of the corpus;
        ensembles of the same base, words and frozen layers share these
    """

    model: ClassVar[str]  # the class of transformers, such as BertForTokenClassification
    metrics: ClassVar[Mapping[str, str]]  # the evaluation's measures by their names in a manifest

    start: Base
    vocabulary_size: int = 4200
    shape: PruneConfig = field(default_factory=PruneConfig)
    learning: Learning = field(default_factory=Learning)
    window: Window = field(default_factory=lambda: Window(256, 32))
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
        shared = chain.from_iterable(map(read_text_samples, self.shared))
        samples = sampled(shared if self.shared else self.samples(train), seed)
        # Once, not once a question that is asked of it.
        texts = dict.fromkeys(text for sample in samples for text in sample if text)
        words = trim_vocabulary(self.start.folder, texts, self.vocabulary_size)
        frozen = (self.start.folder, self.frozen, words, samples, self.shape.positions)
        prefix = make_prefix(*frozen).model if self.frozen else None
        return SharedArtifacts(words.tokenizer, words.kept, prefix)

    def setup(self, shared: SharedArtifacts, seed: int) -> TaskSetup[RecordT]:
        tokenizer = TextTokenizer(shared.tokenizer.to_str().encode())
        prefix = Prefix(shared.prefix) if shared.prefix else None

        def new_member(
            train: Sequence[RecordT], valid: Sequence[RecordT], batch_size: int, draws: int
        ) -> MemberTrainer[LabelledBatch]:
            labels = self.labels(train)
            model = prune_model(
                self.start.folder, self.shape, shared.kept, labels, seed, self.model
            )
            member = Member(model, self.task, prefix)
            return EncoderTrainer(self, member, tokenizer, labels, train, valid, batch_size, draws)

        return TaskSetup(shared.tokenizer, self.window, new_member, self.labels(), prefix=prefix)

    def labels(self, train: Sequence[RecordT] | None = None) -> Sequence[str]:
        """The ensemble's labels, or those of them that a member can learn from its own records."""
        return ()

    def samples(self, records: Iterable[RecordT]) -> Iterator[TextSample]:
        """What words are chosen by."""
        return ((record.text, None) for record in records)

    def records(self, records: Sequence[RecordT], seed: int) -> Sequence[RecordT]:
        """What is learned from these records, or measured by them."""
        return records

    @property
    def learned_window(self) -> Window:
        """How texts are cut that are learned from."""
        return Window(self.learning.max_tokens, 0)

    def learns_from(self, record: RecordT, targets: Int64Array) -> bool:
        """Whether a chunk of a record teaches anything."""
        return True

    @abstractmethod
    def request(self, record: RecordT) -> JsonObject:
        """A record as a worker is asked about it."""

    @abstractmethod
    def targets(self, record: RecordT, chunk: Any, spec: EnsembleSpec) -> Int64Array:
        """What is right in a chunk of a record, as `LabelledChunk` has it."""

    def choices(self, scores: FloatArray) -> FloatArray:
        """A chunk's scores as (targets, what each is chosen from)."""
        return np.atleast_2d(scores)

    @abstractmethod
    def evaluation(self, records: Sequence[RecordT]) -> EvalTask:
        """What a worker is asked about validation records, and how its answers are measured."""

    def begin(self, request: JsonObject, spec: EnsembleSpec) -> Job[Any, Any]:
        """A worker's job for a request; raises Invalid."""
        inputs = {name: value for name, value in request.items() if name != "params"}
        return task_named(self.task).begin(inputs, request.get("params", {}), spec)

    def chunks(
        self, records: Iterable[tuple[int, RecordT]], spec: EnsembleSpec
    ) -> Iterator[LabelledChunk[Chunk]]:
        """The chunks of numbered records; none of one that a worker would refuse."""
        for number, record in records:
            try:
                for chunk in self.begin(self.request(record), spec).chunks():
                    yield LabelledChunk(chunk, self.targets(record, chunk, spec), number)
            except Invalid:
                continue


class EncoderTrainer(MemberTrainer[LabelledBatch], Generic[RecordT]):
    def __init__(
        self,
        task: EncoderTask[RecordT],
        member: Member,
        tokenizer: TextTokenizer,
        labels: Sequence[str],
        train: Sequence[RecordT],
        valid: Sequence[RecordT],
        batch_size: int,
        seed: int,
    ) -> None:
        self.model, self._member = member.model, member
        self._task, self._labels, self._batch_size, self._seed = task, labels, batch_size, seed
        self._train = task.records(train, seed)
        self._spec = one_member_spec(tokenizer, labels, task.window)
        learned = one_member_spec(tokenizer, labels, task.learned_window)
        self._chunks = LabelledChunks(
            one
            for one in task.chunks(enumerate(self._train), learned)
            if task.learns_from(self._train[one.record], one.targets)
        )
        measured = task.records(valid, seed)
        self._valid = Validation(
            task.evaluation(measured),
            task.chunks(enumerate(measured), self._spec),
            lambda request: task.begin(request, self._spec),
            task.choices,
            task.metrics,
        )
        drawn = len(self._drawn(random.Random(0)))  # noqa: S311  # only counted
        self.steps = -(-drawn // batch_size)

    def batches(self, order: random.Random) -> Iterator[LabelledBatch]:
        return self._chunks.batches(self._drawn(order), self._batch_size, order)

    def loss(self, batch: LabelledBatch) -> torch.Tensor:
        read = self._member.read([labelled.chunk for labelled in batch.chunks])
        logits = self._member.logits(Batch.pad(read))
        targets = tensor(batch.targets, self.model)
        return nn.functional.cross_entropy(
            logits.flatten(0, -2), targets.flatten(), ignore_index=NO_TARGET
        )

    def judge(self) -> Metrics:
        return self._valid.evaluate(self._member.score)

    def ship(self, work: Path, target: Path, precision: str) -> ExportedMember:
        return export_encoder_member(
            self._member,
            self._valid,
            self._calibration,
            work=work,
            target=target,
            precision=precision,
            labels=self._labels,
        )

    def _calibration(self) -> list[Chunk]:
        """All chunks of a few hundred records, drawn by the seed."""
        order = random.Random(self._seed)  # noqa: S311  # an order to be repeated, not a secret
        count = len(self._train)
        drawn = sorted(order.sample(range(count), min(count, _CALIBRATION_RECORDS)))
        chosen = ((number, self._train[number]) for number in drawn)
        return [labelled.chunk for labelled in self._task.chunks(chosen, self._spec)]

    def _drawn(self, order: random.Random) -> Int64Array:
        return draw(self._chunks.records, self._task.learning.windows_per_example, order)


_CALIBRATION_RECORDS = 300


def one_member_spec(
    tokenizer: TextTokenizer, labels: Sequence[str], window: Window
) -> EnsembleSpec:
    """An ensemble of one member."""
    outputs = LabelMap.between("", labels, labels) if labels else LabelMap.none()
    member = MemberProfile("", "", 1.0, outputs)
    return EnsembleSpec("", "", tuple(labels), (member,), "mean", 1, tokenizer, window)
