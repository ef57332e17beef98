"""Records as requests: the chunks that a worker makes of them, and what is right in each.

So members learn from exactly what serving hands them, and are measured by what it would answer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from streamproc.errors import Invalid
from streamproc.offline.corpus.partitioning import CorpusRecord
from streamproc.offline.evaluation.eval_task import EvalTask, JsonObject
from streamproc.offline.training.labelled_chunks import LabelledChunk
from streamproc.serving.chunking.tokens import TextTokenizer
from streamproc.serving.chunking.windows import Chunk, Window
from streamproc.serving.ensembling.labels import LabelMap
from streamproc.serving.tasks.catalogue import task_named
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec, MemberSpec
from streamproc.serving.tasks.task import AnyJob
from streamproc.types import FloatArray, Int64Array

RecordT = TypeVar("RecordT", bound=CorpusRecord)


class RecordRequests(ABC, Generic[RecordT]):
    """What serving has to be told of a task's records.

    metrics: the evaluation's metrics by their names in a manifest
    """

    task: ClassVar[str]
    metrics: ClassVar[Mapping[str, str]]

    def records(self, records: Sequence[RecordT], seed: int) -> Sequence[RecordT]:
        """What is learned from these records, or measured by them."""
        return records

    def learned_window(self, max_tokens: int) -> Window:
        """How texts are cut that are learned from."""
        return Window(max_tokens, 0)

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

    def begin(self, request: JsonObject, spec: EnsembleSpec) -> AnyJob:
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


def one_member_spec(
    tokenizer: TextTokenizer, labels: Sequence[str], window: Window
) -> EnsembleSpec:
    """An ensemble of one member."""
    outputs = LabelMap.between("", labels, labels) if labels else LabelMap.none()
    member = MemberSpec("", "", 1.0, outputs)
    return EnsembleSpec("", "", tuple(labels), (member,), "mean", 1, tokenizer, window)
