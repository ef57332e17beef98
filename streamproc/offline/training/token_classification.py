"""Token classification as something to learn: which words of a text are an entity."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from tokenizers import Tokenizer

from streamproc.errors import TrainingError
from streamproc.offline.corpus.rows import Source
from streamproc.offline.corpus.tagged import OUTSIDE, TaggedText, read_named
from streamproc.offline.training.encoder import EncodedDataset, EncoderCourse
from streamproc.offline.training.encoding import encoded
from streamproc.offline.training.on_disk import TokenRows
from streamproc.offline.training.scoring import RunBatch, Scores, WindowSize, log_loss, softmax
from streamproc.offline.training.training_task import Metrics
from streamproc.offline.training.windows import NO_TARGET, Cut, Window, batches, cut
from streamproc.types import Int64Array


@dataclass(frozen=True)
class TokenClassification(EncoderCourse[TaggedText]):
    """A finder of entities, by BIO tags.

    names: the ensemble's entity for each spelling in the corpus ("person" → "PER"), "O" for what
        is to be no entity; a spelling "corpus:person" is looked for first
    """

    task = "token-classification"
    model = "BertForTokenClassification"

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

    def exercise(
        self, records: Sequence[TaggedText], tokenizer: Tokenizer, labels: Sequence[str], seed: int
    ) -> EncodedDataset:
        return TaggedTexts(records, tokenizer, labels)


def spans(tags: Sequence[str]) -> set[tuple[int, int, str]]:
    """(first word, word after the last, entity) of BIO tags.

    As CoNLL's evaluation has it: an I- that continues nothing of its own kind begins an entity.
    """
    found: set[tuple[int, int, str]] = set()
    start, kind = 0, ""
    for index, tag in enumerate((*tags, OUTSIDE)):
        if kind and (tag != f"I-{kind}"):
            found.add((start, index, kind))
            kind = ""
        if tag != OUTSIDE and not kind:
            start, kind = index, tag[2:]
    return found


def entity_f1(right: Sequence[Sequence[str]], said: Sequence[Sequence[str]]) -> float:
    """Micro F1 of entities, each right only with its exact words and kind."""
    pairs = [(spans(one), spans(other)) for one, other in zip(right, said, strict=True)]
    hits = sum(len(one & other) for one, other in pairs)
    total = sum(len(one) + len(other) for one, other in pairs)
    return 2 * hits / total if total else 1.0


class TaggedTexts(EncodedDataset):
    """Texts, tokenized, with each token's label: I- for the later tokens of an entity's word.

    A tag that the labels do not have teaches nothing where it stands, and is never said.
    """

    def __init__(
        self, texts: Sequence[TaggedText], tokenizer: Tokenizer, labels: Sequence[str]
    ) -> None:
        self.texts, self.labels = texts, labels
        self.ids = TokenRows()
        # (tokens,) the index of the word that each token belongs to, and what it is to be called.
        self.word_of, self.right = TokenRows(), TokenRows()
        said = encoded(tokenizer, (text.text for text in texts))
        for text, encoding in zip(texts, said, strict=True):
            word_of = _words(text, encoding.offsets)
            self.ids.append(encoding.ids)
            self.word_of.append(word_of)
            self.right.append(self._targets(text, word_of))
        self._start, self._end = (tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]"))
        self._padding = tokenizer.token_to_id("[PAD]")

    def _targets(self, text: TaggedText, word_of: Int64Array) -> Int64Array:
        index = {label: number for number, label in enumerate(self.labels)}
        targets = np.full(len(word_of), NO_TARGET, dtype=np.int64)
        for token, word in enumerate(word_of):
            tag = text.tags[word]
            if token and word_of[token - 1] == word and tag != OUTSIDE:
                tag = f"I-{tag[2:]}"
            targets[token] = index.get(tag, NO_TARGET)
        return targets

    def windows(self, max_tokens: int, overlap_tokens: int = 0) -> Cut:
        return cut(self.ids.lengths(), max_tokens, overlap_tokens, 2, self._window)

    def _window(self, example: int, first: int, length: int) -> Window:
        piece = (example, first, first + length - 2)
        framed = np.concatenate(([self._start], self.ids.piece(*piece), [self._end]))
        target = np.concatenate(([NO_TARGET], self.right.piece(*piece), [NO_TARGET]))
        return Window(framed, np.zeros_like(framed), target, example, first)

    def judge(self, run: RunBatch, size: WindowSize) -> Metrics:
        scores = self.scores(run, size)
        taught = [right != NO_TARGET for right in self.right]
        right = [
            own[kept][np.arange(kept.sum()), target[kept]]
            for own, target, kept in zip(scores, self.right, taught, strict=True)
        ]
        f1 = entity_f1([text.tags for text in self.texts], self.tags(scores))
        return Metrics(log_loss(np.concatenate(right)), {"entity_f1": f1})

    def scores(self, run: RunBatch, size: WindowSize) -> Sequence[Scores]:
        """(tokens, labels) of each text; what two windows saw counts where it sits deeper."""
        lengths = self.ids.lengths()
        scores = [np.zeros((length, len(self.labels))) for length in lengths]
        depth = [np.zeros(length, dtype=np.int64) for length in lengths]
        windows = self.windows(size.max_tokens, size.overlap_tokens)
        for batch in batches(windows, 32, self._padding):
            for window, said in zip(batch.windows, softmax(run(batch)), strict=True):
                tokens = len(window.ids) - 2
                place = np.arange(tokens)
                deep = np.minimum(place + 1, tokens - place)
                own = slice(window.first, window.first + tokens)
                better = deep > depth[window.example][own]
                scores[window.example][own][better] = said[1 : tokens + 1][better]
                depth[window.example][own][better] = deep[better]
        return scores

    def tags(self, scores: Sequence[Scores]) -> list[list[str]]:
        """Each word's tag, by the most probable label of its first token; O of a word with none."""
        said: list[list[str]] = []
        for text, own, word_of in zip(self.texts, scores, self.word_of, strict=True):
            tags = [OUTSIDE] * len(text.words)
            words, firsts = np.unique(word_of, return_index=True)
            for word, label in zip(words, own[firsts].argmax(axis=1), strict=True):
                tags[word] = self.labels[label]
            said.append(tags)
        return said


def _words(text: TaggedText, offsets: Sequence[tuple[int, int]]) -> Int64Array:
    """(tokens,) the word that each token begins in."""
    starts: list[int] = []
    place = 0
    for word in text.words:
        starts.append(place)
        place += len(word) + 1
    return np.array([bisect_right(starts, first) - 1 for first, _ in offsets], dtype=np.int64)
