"""Token classification as something to learn: which words of a text are an entity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from streamproc.errors import TrainingError
from streamproc.offline.corpus.rows import Source
from streamproc.offline.corpus.tagged import OUTSIDE, TaggedText, read_named
from streamproc.offline.evaluation.entity_eval import EntityEval
from streamproc.offline.evaluation.eval_task import EvalTask, JsonObject
from streamproc.offline.training.encoder import EncoderTask
from streamproc.offline.training.labelled_chunks import NO_TARGET
from streamproc.serving.chunking.overlaps import content_place, deepest
from streamproc.serving.chunking.windows import Chunk
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.types import Int64Array


@dataclass(frozen=True)
class TokenClassification(EncoderTask[TaggedText]):
    """A finder of entities, by BIO tags.

    names: the ensemble's entity for each spelling in the corpus ("person" → "PER"), "O" for what
        is to be no entity; a spelling "corpus:person" is looked for first
    """

    task = "token-classification"
    model = "BertForTokenClassification"
    metrics: ClassVar[Mapping[str, str]] = {"entity_f1": "entity F1"}

    names: Mapping[str, str] = field(default_factory=dict)

    def read(self, source: Source) -> Iterator[TaggedText]:
        return read_named(source, self.names)

    def labels(self, train: Sequence[TaggedText] | None = None) -> Sequence[str]:
        names = dict.fromkeys(name for name in self.names.values() if name != OUTSIDE)
        if train is not None:
            found = {tag[2:] for text in train for tag in text.tags}
            names = {name: None for name in names if name in found}
            if not names:
                raise TrainingError(f"A part of {len(train)} sentences has no entity to learn.")
        return (OUTSIDE, *(f"{place}-{name}" for name in names for place in "BI"))

    def learns_from(self, record: TaggedText, targets: Int64Array) -> bool:
        """From chunks with a word: the loss of a batch without any would be no number."""
        return bool((targets != NO_TARGET).any())

    def request(self, record: TaggedText) -> JsonObject:
        return {"text": record.text}

    def targets(self, record: TaggedText, chunk: Chunk, spec: EnsembleSpec) -> Int64Array:
        """The label of every token, where it counts: I- for the later ones of an entity's word.

        A tag that the labels do not have teaches nothing where it stands.
        """
        targets = np.full(len(chunk), NO_TARGET)
        content = content_place(chunk, spec.tokenizer.frame)
        starts = np.cumsum([0, *(len(word) + 1 for word in record.words)])
        begins = chunk.offsets[content, 0]
        words = np.searchsorted(starts[:-1], begins, side="right") - 1
        continues = np.diff(words, prepend=-1) == 0
        if chunk.index:  # it may begin within a word
            continues[:1] = begins[:1] > starts[words[:1]]
        tags = (
            f"I-{record.tags[word][2:]}"
            if later and record.tags[word] != OUTSIDE
            else record.tags[word]
            for word, later in zip(words.tolist(), continues.tolist(), strict=True)
        )
        index = {label: number for number, label in enumerate(spec.labels)}
        labels = np.array([index.get(tag, NO_TARGET) for tag in tags], np.int64)
        counted = deepest(chunk, spec.window, is_final=chunk.is_last)
        targets[content][counted] = labels[counted]
        return targets

    def evaluation(self, records: Sequence[TaggedText]) -> EvalTask:
        return EntityEval(records)
