"""Text classification as something to learn: a label of a text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from tokenizers import Tokenizer

from streamproc.corpus.records import Columns, Record, read_records
from streamproc.corpus.rows import Source
from streamproc.errors import TrainingError
from streamproc.training.course import Judgement
from streamproc.training.encoder import EncoderCourse, Exercise
from streamproc.training.scoring import RunBatch, Scores, WindowSize, log_loss, softmax
from streamproc.training.windows import Ids, Window, batches, pieces


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
        records = tuple(read_records(source.path, self.columns, source.name))
        if unknown := sorted({record.label for record in records} - self.names.keys()):
            raise TrainingError(
                f"{source.path}: labels {', '.join(unknown)} are not named; named are "
                f"{', '.join(self.names)}. Name every label of the corpus with --label."
            )
        return iter(records)

    def labels(self, train: Sequence[Record] | None = None) -> Sequence[str]:
        return tuple(self.names.values())

    def exercise(
        self, records: Sequence[Record], tokenizer: Tokenizer, labels: Sequence[str], seed: int
    ) -> Exercise:
        return LabelledTexts(records, tokenizer, {name: n for n, name in enumerate(self.names)})


class LabelledTexts(Exercise):
    """Texts, tokenized, with the index of the label of each."""

    def __init__(
        self, records: Iterable[Record], tokenizer: Tokenizer, labels: Mapping[str, int]
    ) -> None:
        records = tuple(records)
        encodings = tokenizer.encode_batch([r.text for r in records], add_special_tokens=False)
        self.ids: Sequence[Ids] = [np.asarray(e.ids, dtype=np.int64) for e in encodings]
        self.right: Ids = np.array([labels[record.label] for record in records], dtype=np.int64)
        self._start, self._end = (tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]"))
        self._padding = tokenizer.token_to_id("[PAD]")

    def windows(self, max_tokens: int, overlap_tokens: int = 0) -> Sequence[Window]:
        cut: list[Window] = []
        for index, (ids, label) in enumerate(zip(self.ids, self.right, strict=True)):
            for piece in pieces(len(ids), max_tokens - 2, overlap_tokens):
                framed = np.concatenate(([self._start], ids[piece], [self._end]))
                cut.append(Window(framed, np.zeros_like(framed), label, index, piece.start))
        return cut

    def judge(self, run: RunBatch, size: WindowSize) -> Judgement:
        scores = self.scores(run, size)
        right = scores[np.arange(len(self.right)), self.right]
        hits = scores.argmax(axis=1) == self.right
        return Judgement(log_loss(right), {"accuracy": float(hits.mean())})

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
