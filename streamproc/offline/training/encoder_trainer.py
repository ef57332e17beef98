"""One member cut out of a BERT base: what it learns from, how it is measured and exported."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import nn

from streamproc.errors import TrainingError
from streamproc.offline.corpus.partitioning import CorpusRecord
from streamproc.offline.training.devices import tensor
from streamproc.offline.training.labelled_chunks import (
    NO_TARGET,
    LabelledBatch,
    LabelledChunks,
    draw,
    groups_by_length,
    mixed_lengths,
)
from streamproc.offline.training.member import Member
from streamproc.offline.training.precision import export_smallest, store_in_half
from streamproc.offline.training.record_requests import RecordRequests, one_member_spec
from streamproc.offline.training.static_int8 import quantise
from streamproc.offline.training.training_task import ExportedMember, MemberTrainer, Metrics
from streamproc.offline.training.validation import Validation
from streamproc.offline.training.weight_only_int8 import store_in_eight_bits
from streamproc.serving.chunking.tokens import TextTokenizer
from streamproc.serving.chunking.windows import Window
from streamproc.serving.inference.batch import Batch
from streamproc.serving.verification.scores import count_batch_variant, require_same_scores
from streamproc.types import Int64Array

RecordT = TypeVar("RecordT", bound=CorpusRecord)

_CHECKED_CHUNKS = 256
_CALIBRATION_RECORDS = 300


@dataclass(frozen=True, slots=True)
class Learning:
    """What an encoder learns from. windows_per_example: of a long text, drawn anew each epoch."""

    max_tokens: int = 128
    windows_per_example: int = 2


class EncoderTrainer(MemberTrainer[LabelledBatch], Generic[RecordT]):
    def __init__(
        self,
        task: RecordRequests[RecordT],
        member: Member,
        tokenizer: TextTokenizer,
        labels: Sequence[str],
        train: Sequence[RecordT],
        valid: Sequence[RecordT],
        *,
        window: Window,
        learning: Learning,
        batch_size: int,
        seed: int,
    ) -> None:
        self.model, self._member = member.model, member
        self._task, self._labels, self._batch_size, self._seed = task, labels, batch_size, seed
        self._train = task.records(train, seed)
        self._learning = learning
        self._spec = one_member_spec(tokenizer, labels, window)
        learned_window = task.learned_window(learning.max_tokens)
        learned = one_member_spec(tokenizer, labels, learned_window)
        self._chunks = LabelledChunks(
            one
            for one in task.chunks(enumerate(self._train), learned)
            if task.learns_from(self._train[one.record], one.targets)
        )
        self._valid = Validation(task, task.records(valid, seed), self._spec)
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

    def evaluate(self) -> Metrics:
        return self._valid.evaluate(self._member.score)

    def export(self, work: Path, target: Path, precision: str) -> ExportedMember:
        member, fp32 = self._member, work / "model.onnx"
        member.export(fp32)
        checked = [
            [labelled.chunk for labelled in group]
            for group in mixed_lengths(self._valid.chunks, _CHECKED_CHUNKS)
        ]
        onnx_score = member.onnx_scorer(fp32)
        difference = require_same_scores(f"{fp32}: logits", member.score, onnx_score, checked)

        def evaluate(files: Sequence[Path]) -> Metrics:
            (file,) = files
            score = member.onnx_scorer(file)
            if changed := count_batch_variant(score, checked):
                raise TrainingError(
                    f"{file}: {changed} of {sum(map(len, checked))} windows get another answer in "
                    "a batch than alone."
                )
            return self._valid.evaluate(score)

        return export_smallest(
            precision,
            [fp32],
            {
                "int8": lambda source, made: quantise(source, made, self._calibration()),
                "int8-weights": store_in_eight_bits,
                "fp16": store_in_half,
            },
            evaluate,
            target,
            export_difference=difference,
            labels=self._labels,
        )

    def _calibration(self) -> Iterator[Batch]:
        """All chunks of a few hundred records, drawn by the seed, in batches of like length."""
        order = random.Random(self._seed)  # noqa: S311  # an order to be repeated, not a secret
        count = len(self._train)
        drawn = sorted(order.sample(range(count), min(count, _CALIBRATION_RECORDS)))
        records = ((number, self._train[number]) for number in drawn)
        chunks = [labelled.chunk for labelled in self._task.chunks(records, self._spec)]
        for group in groups_by_length(np.array([len(chunk) for chunk in chunks]), 16):
            yield Batch.pad(self._member.read([chunks[place] for place in group]))

    def _drawn(self, order: random.Random) -> Int64Array:
        return draw(self._chunks.records, self._learning.windows_per_example, order)
