"""Text classification as something to learn: a label of a text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from streamproc.errors import TrainingError
from streamproc.offline.corpus.records import Columns, LabelledText, read_labelled_texts
from streamproc.offline.corpus.rows import Source
from streamproc.offline.evaluation.eval_task import EvalTask, JsonObject
from streamproc.offline.evaluation.label_eval import LabelEval
from streamproc.offline.training.encoder import EncoderTask
from streamproc.serving.chunking.windows import Chunk
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.types import Int64Array

# Labels that have no name, of which an error tells.
_NAMED_UNKNOWN = 20


@dataclass(frozen=True)
class TextClassification(EncoderTask[LabelledText]):
    """A classifier of texts.

    names: the ensemble's label for each spelling in the corpus, by output index
    """

    task = "text-classification"
    model = "BertForSequenceClassification"
    metrics: ClassVar[Mapping[str, str]] = {"accuracy": "accuracy"}

    names: Mapping[str, str] = field(default_factory=dict)
    columns: Columns = field(default_factory=Columns)

    @property
    def text_field(self) -> str:
        return self.columns.text

    def read(self, source: Source) -> Iterator[LabelledText]:
        unknown: set[str] = set()
        for record in read_labelled_texts(source.path, self.columns, source.name):
            if record.label in self.names:
                yield record
            elif len(unknown) < _NAMED_UNKNOWN:
                unknown.add(record.label)
        if unknown:
            raise TrainingError(
                f"{source.path}: labels {', '.join(sorted(unknown))} are not named; named are "
                f"{', '.join(self.names)}. Name every label of the corpus with --label."
            )

    def labels(self, train: Sequence[LabelledText] | None = None) -> Sequence[str]:
        return tuple(self.names.values())

    def request(self, record: LabelledText) -> JsonObject:
        return {"text": record.text}

    def targets(self, record: LabelledText, chunk: Chunk, spec: EnsembleSpec) -> Int64Array:
        return np.array([spec.labels.index(self.names[record.label])])

    def evaluation(self, records: Sequence[LabelledText]) -> EvalTask:
        named = [replace(record, label=self.names[record.label]) for record in records]
        return LabelEval(named, self.labels())
