"""How well a member does on validation records: as a worker would answer them with it alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np

from streamproc.errors import TrainingError
from streamproc.offline.corpus.partitioning import CorpusRecord
from streamproc.offline.evaluation.eval_task import EvalTask, JsonObject
from streamproc.offline.training.labelled_chunks import NO_TARGET, LabelledChunk
from streamproc.offline.training.next_token import NOTHING_TO_MEASURE
from streamproc.offline.training.on_disk import Records
from streamproc.offline.training.record_requests import RecordRequests
from streamproc.offline.training.training_task import Metrics
from streamproc.serving.chunking.windows import Chunk
from streamproc.serving.ensembling.combine import softmax
from streamproc.serving.inference.batch import MemberOutput
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.task import AnyJob
from streamproc.serving.verification.scores import Score
from streamproc.types import FloatArray, Int64Array

RecordT = TypeVar("RecordT", bound=CorpusRecord)

_CHUNKS_AT_ONCE = 32


class Validation(Generic[RecordT]):
    """Validation records, whose chunks are made once and scored by any model."""

    def __init__(
        self, task: RecordRequests[RecordT], records: Sequence[RecordT], spec: EnsembleSpec
    ) -> None:
        """spec: an ensemble of the member alone"""
        self._task, self._spec = task, spec
        self._evaluation = task.evaluation(records)
        self._requests = _requests_by_record(self._evaluation)
        self._chunks = Records(task.chunks(enumerate(records), spec))
        if not len(self._chunks):
            raise TrainingError(NOTHING_TO_MEASURE)
        numbers = np.array([labelled.record for labelled in self._chunks], np.int64)
        tokens = np.bincount(numbers, [len(labelled.chunk) for labelled in self._chunks])
        # By length, so that little is padded; a record's chunks stay together and in order.
        self._order = np.argsort(tokens[numbers], kind="stable")

    @property
    def chunks(self) -> Sequence[LabelledChunk[Chunk]]:
        """All chunks of all records, in order."""
        return self._chunks

    def evaluate(self, score: Score) -> Metrics:
        """The loss is that of the answers, or of the chunks where answers do not tell it."""
        requests, metrics = self._evaluation.requests, self._evaluation.metrics
        responses: list[JsonObject] = [{"status": "error"}] * len(requests)
        jobs: dict[int, AnyJob] = {}
        losses = []
        for first in range(0, len(self._order), _CHUNKS_AT_ONCE):
            read = [self._chunks[place] for place in self._order[first : first + _CHUNKS_AT_ONCE]]
            for labelled, scores in zip(read, score([one.chunk for one in read]), strict=True):
                if not np.isfinite(scores).all():
                    return Metrics(math.nan, dict.fromkeys(self._task.metrics, 0.0))
                losses.append(_losses(self._task.choices(scores), labelled.targets))
                for number in self._requests[labelled.record]:
                    if number not in jobs:
                        jobs[number] = self._task.begin(requests[number], self._spec)
                    jobs[number].add(labelled.chunk, (MemberOutput("", scores),))
                    if labelled.chunk.is_last:
                        answer = jobs.pop(number).answer()
                        responses[number] = {"status": "ok", "result": answer.result}
        likelihood = self._evaluation.likelihood(responses)
        loss = -likelihood if likelihood is not None else float(np.concatenate(losses).mean())
        statistics = self._evaluation.statistics(responses)
        values = {
            metric.name: float(np.nan_to_num(metric.value(own)))
            for metric, own in zip(metrics, statistics, strict=True)
        }
        return Metrics(
            loss, {key: values.get(name, 0.0) for key, name in self._task.metrics.items()}
        )


def _requests_by_record(evaluation: EvalTask) -> list[list[int]]:
    """Of each record its requests, by number: the same inputs may be asked in several ways."""
    asked = [tuple(v for k, v in one.items() if k != "params") for one in evaluation.requests]
    numbers = [[record] for record in range(evaluation.records)]
    record_of = {inputs: record for record, inputs in enumerate(asked[: evaluation.records])}
    for number in range(evaluation.records, len(asked)):
        numbers[record_of[asked[number]]].append(number)
    return numbers


def _losses(choices: FloatArray, targets: Int64Array) -> FloatArray:
    """(kept targets,) the negative logarithm of each one's probability, in nats."""
    kept = targets != NO_TARGET
    right = softmax(choices[kept])[np.arange(kept.sum()), targets[kept]]
    return np.asarray(-np.log(np.maximum(right, 1e-12)))
