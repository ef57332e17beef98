"""Text classification as something to learn: a label of a text."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import tee

import numpy as np
from tokenizers import Tokenizer

from streamproc.errors import TrainingError
from streamproc.offline.corpus.records import Columns, Record, read_records
from streamproc.offline.corpus.rows import Source
from streamproc.offline.training.encoder import EncodedDataset, EncoderCourse
from streamproc.offline.training.encoding import encoded
from streamproc.offline.training.on_disk import TokenRows
from streamproc.offline.training.scoring import RunBatch, Scores, WindowSize, log_loss, softmax
from streamproc.offline.training.training_task import Metrics
from streamproc.offline.training.windows import Cut, Window, batches, cut
from streamproc.types import Int64Array

# Labels that have no name, of which an error tells.
_NAMED_UNKNOWN = 20


@dataclass(frozen=True)
class TextClassification(EncoderCourse[Record]):
    """A classifier of texts.

    names: the ensemble's label for each spelling in the corpus, by output index
    """

    task = "text-classification"
    model = "BertForSequenceClassification"

    names: Mapping[str, str] = field(default_factory=dict)
    columns: Columns = field(default_factory=Columns)

    def read(self, source: Source) -> Iterator[Record]:
        unknown: set[str] = set()
        for record in read_records(source.path, self.columns, source.name):
            if record.label in self.names:
                yield record
            elif len(unknown) < _NAMED_UNKNOWN:
                unknown.add(record.label)
        if unknown:
            raise TrainingError(
                f"{source.path}: labels {', '.join(sorted(unknown))} are not named; named are "
                f"{', '.join(self.names)}. Name every label of the corpus with --label."
            )

    def labels(self, train: Sequence[Record] | None = None) -> Sequence[str]:
        return tuple(self.names.values())

    def exercise(
        self, records: Sequence[Record], tokenizer: Tokenizer, labels: Sequence[str], seed: int
    ) -> EncodedDataset:
        return LabelledTexts(records, tokenizer, {name: n for n, name in enumerate(self.names)})


class LabelledTexts(EncodedDataset):
    """Texts, tokenized, with the index of the label of each."""

    def __init__(
        self, records: Iterable[Record], tokenizer: Tokenizer, labels: Mapping[str, int]
    ) -> None:
        self.ids, right = TokenRows(), array("q")
        own, texts = tee(records)
        said = encoded(tokenizer, (record.text for record in texts))
        for record, encoding in zip(own, said, strict=True):
            self.ids.append(encoding.ids)
            right.append(labels[record.label])
        self.right: Int64Array = np.array(right, dtype=np.int64)
        self._start, self._end = (tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]"))
        self._padding = tokenizer.token_to_id("[PAD]")

    def windows(self, max_tokens: int, overlap_tokens: int = 0) -> Cut:
        return cut(self.ids.lengths(), max_tokens, overlap_tokens, 2, self._window)

    def _window(self, example: int, first: int, length: int) -> Window:
        piece = self.ids.piece(example, first, first + length - 2)
        framed = np.concatenate(([self._start], piece, [self._end]))
        return Window(framed, np.zeros_like(framed), self.right[example], example, first)

    def judge(self, run: RunBatch, size: WindowSize) -> Metrics:
        scores = self.scores(run, size)
        right = scores[np.arange(len(self.right)), self.right]
        hits = scores.argmax(axis=1) == self.right
        return Metrics(log_loss(right), {"accuracy": float(hits.mean())})

    def scores(self, run: RunBatch, size: WindowSize) -> Scores:
        """(texts, labels) probabilities: the token-weighted mean over a text's windows."""
        total: dict[int, Scores] = {}
        tokens = np.zeros(len(self.ids))
        for batch in batches(self.windows(size.max_tokens, size.overlap_tokens), 32, self._padding):
            for window, scores in zip(batch.windows, softmax(run(batch)), strict=True):
                # An empty text weighs something too, or it would have no probabilities at all.
                weight = max(len(window.ids) - 2, 1)
                total[window.example] = total.get(window.example, 0) + weight * scores
                tokens[window.example] += weight
        return np.stack([total[index] / count for index, count in enumerate(tokens)])
