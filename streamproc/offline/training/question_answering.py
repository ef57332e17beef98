"""Question answering as something to learn: where in a paragraph the answer stands, if it does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import ClassVar

import numpy as np

from streamproc.offline.corpus.questions import Question, read_questions
from streamproc.offline.corpus.rows import Source
from streamproc.offline.corpus.text_samples import TextSample
from streamproc.offline.evaluation.answer_eval import AnswerEval
from streamproc.offline.evaluation.eval_task import EvalTask, JsonObject
from streamproc.offline.training.encoder import EncoderTask
from streamproc.offline.training.on_disk import Records
from streamproc.offline.training.unanswerable import unanswerable
from streamproc.serving.chunking.pairs import PairChunk
from streamproc.serving.chunking.windows import Window
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.types import FloatArray, Int64Array

# Windows that are learned from overlap by as much, so that hardly any answer is cut.
_OVERLAP_TOKENS = 30


@dataclass(frozen=True)
class QuestionAnswering(EncoderTask[Question]):
    """A finder of answers.

    unanswerable_share: of the questions, that are asked of a paragraph of another one as well, and
        there have no answer
    """

    task = "question-answering"
    model = "BertForQuestionAnswering"
    metrics: ClassVar[Mapping[str, str]] = {
        "f1": "F1",
        "exact": "exact match",
        "kept": "kept",
        "refused": "refused",
    }

    unanswerable_share: float = 0.2

    def read(self, source: Source) -> Iterator[Question]:
        return read_questions(source)

    def samples(self, records: Iterable[Question]) -> Iterator[TextSample]:
        return ((record.question, record.context) for record in records)

    def records(self, records: Sequence[Question], seed: int) -> Sequence[Question]:
        return Records(chain(records, unanswerable(records, self.unanswerable_share, seed)))

    def learned_window(self, max_tokens: int) -> Window:
        return Window(max_tokens, min(_OVERLAP_TOKENS, max_tokens // 4))

    def learns_from(self, record: Question, targets: Int64Array) -> bool:
        """From chunks that hold the answer, where there is one, and from all without one."""
        return bool(targets.any()) or not record.answers

    def request(self, record: Question) -> JsonObject:
        return {"question": record.question, "context": record.context}

    def targets(self, record: Question, chunk: PairChunk, spec: EnsembleSpec) -> Int64Array:
        """First and last token of the first answer; without it in the chunk, of the first token."""
        for start, text in record.answers[:1]:
            end = start + len(text)
            starts, ends = chunk.content_offsets.T
            inside = np.flatnonzero((starts < end) & (ends > start))
            if chunk.start <= start and end <= chunk.end and len(inside):
                return chunk.content_from + inside[[0, -1]]
        return np.zeros(2, np.int64)

    def choices(self, scores: FloatArray) -> FloatArray:
        return scores.T

    def evaluation(self, records: Sequence[Question]) -> EvalTask:
        return AnswerEval(records)
