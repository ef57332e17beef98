"""Question answering as something to learn: where in a paragraph the answer stands, if it does."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain

import numpy as np
from tokenizers import Tokenizer

from streamproc.offline.corpus.questions import Question, read_questions
from streamproc.offline.corpus.rows import Source
from streamproc.offline.corpus.text_samples import TextSample
from streamproc.offline.evaluation.squad import best_of, exact_match, f1, normalised
from streamproc.offline.training.encoder import EncodedDataset, EncoderCourse
from streamproc.offline.training.encoding import encoded
from streamproc.offline.training.on_disk import Records, TokenRows
from streamproc.offline.training.scoring import RunBatch, Scores, WindowSize, log_loss, softmax
from streamproc.offline.training.training_task import Metrics
from streamproc.offline.training.windows import Batch, Cut, Window, batches
from streamproc.types import Int64Array

# As transformers' pipeline has it.
LONGEST_ANSWER = 15
# A question's tokens beyond these are not learned from.
_LONGEST_QUESTION = 64


@dataclass(frozen=True)
class QuestionAnswering(EncoderCourse[Question]):
    """A finder of answers.

    mismatched_share: of the questions, that are asked of a paragraph of another one as well, and
        there have no answer
    """

    task = "question-answering"
    model = "BertForQuestionAnswering"

    mismatched_share: float = 0.2

    def read(self, source: Source) -> Iterator[Question]:
        return read_questions(source)

    def wordings(self, records: Iterable[Question]) -> Iterator[TextSample]:
        return ((record.question, record.context) for record in records)

    def exercise(
        self, records: Sequence[Question], tokenizer: Tokenizer, labels: Sequence[str], seed: int
    ) -> EncodedDataset:
        asked_elsewhere = mismatched(records, self.mismatched_share, seed)
        return Questions(Records(chain(records, asked_elsewhere)), tokenizer)


def mismatched(questions: Sequence[Question], share: float, seed: int) -> Iterator[Question]:
    """Some of the questions, each asked of a paragraph that does not hold its answer."""
    order = random.Random(seed)  # noqa: S311  # an order to be repeated, not a secret
    contexts = list(_distinct(question.context for question in questions).values())
    for place in order.sample(range(len(questions)), round(share * len(questions))):
        question = questions[place]
        context = questions[order.choice(contexts)].context
        answers = [normalised(text) for _, text in question.answers]
        if not any(answer in normalised(context) for answer in answers):
            yield Question(question.question, context, (), question.fields)


def _distinct(texts: Iterable[str]) -> dict[bytes, int]:
    """The place where each text comes first, by the text's digest; in order."""
    firsts: dict[bytes, int] = {}
    for place, text in enumerate(texts):
        firsts.setdefault(_digest(text), place)
    return firsts


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class Span:
    """An answer that a window offers, or none. start, end: in characters of the context."""

    start: int
    end: int
    probability: float


class Questions(EncodedDataset):
    """Questions and paragraphs, tokenized; only the paragraph is cut into windows."""

    def __init__(self, questions: Sequence[Question], tokenizer: Tokenizer) -> None:
        self.questions = questions
        asked = encoded(tokenizer, (question.question for question in questions))
        self._asked = TokenRows(one.ids[:_LONGEST_QUESTION] for one in asked)
        # Of paragraphs, which many questions share: which one a question asks of, the ids of each,
        # and where each token stands in it, start and end.
        firsts = _distinct(question.context for question in questions)
        numbers = {digest: number for number, digest in enumerate(firsts)}
        self._context_of = [numbers[_digest(question.context)] for question in questions]
        self._contexts, self._offsets = TokenRows(), TokenRows()
        for one in encoded(tokenizer, (questions[place].context for place in firsts.values())):
            self._contexts.append(one.ids)
            self._offsets.append(np.array(one.offsets, dtype=np.int64).ravel())
        self._start, self._end = (tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]"))
        self._padding = tokenizer.token_to_id("[PAD]")

    def windows(self, max_tokens: int, overlap_tokens: int = 0) -> Cut:
        """[CLS] question [SEP] piece of the context [SEP]; without the answer, [CLS] is right."""
        # At least half of a window is left to the paragraph.
        heard = np.minimum(self._asked.lengths(), max_tokens // 2 - 3)
        frames = heard + 3
        overlaps = np.minimum(overlap_tokens, (max_tokens - frames) // 2)
        tokens = self._contexts.lengths()[self._context_of]

        def make(index: int, first: int, length: int) -> Window:
            return self._window(index, first, length, int(heard[index]))

        return Cut(tokens, frames, max_tokens, overlaps, make)

    def _window(self, index: int, first: int, length: int, heard: int) -> Window:
        asked = self._asked.piece(index, 0, heard)
        before = np.concatenate(([self._start], asked, [self._end]))
        last = first + length - len(before) - 1
        ids = self._contexts.piece(self._context_of[index], first, last)
        framed = np.concatenate((before, ids, [self._end]))
        types = np.repeat([0, 1], [len(before), len(framed) - len(before)])
        right = self._span(index)
        target = np.zeros(2, dtype=np.int64)
        if right and first <= right[0] and right[1] < last:
            target = np.array(right) - first + len(before)
        return Window(framed, types, target, index, first)

    def lessons(self, max_tokens: int) -> Cut:
        """The windows that hold the answer, where there is one, and all where there is none."""
        windows = self.windows(max_tokens, 2 * LONGEST_ANSWER)
        taught = (w.target.any() or not self.questions[w.example].answers for w in windows)
        return windows.chosen(np.flatnonzero(np.fromiter(taught, dtype=bool)))

    def _span(self, index: int) -> tuple[int, int] | None:
        """First and last token of the first answer; none without one."""
        answers = self.questions[index].answers
        if not answers:
            return None
        start, text = answers[0]
        starts, ends = self._offsets_of(index).T
        inside = np.flatnonzero((starts < start + len(text)) & (ends > start))
        return (int(inside[0]), int(inside[-1])) if len(inside) else None

    def _offsets_of(self, index: int) -> Int64Array:
        """(tokens, 2) where the tokens of a question's paragraph stand in it."""
        return self._offsets[self._context_of[index]].reshape(-1, 2)

    def judge(self, run: RunBatch, size: WindowSize) -> Metrics:
        """F1 and exact matches of the best answers, where there is one; and where there is none.

        loss: of both ends, in the windows
        """
        offered, nothing, right = self.offers(run, size)
        texts = {
            n: [text for _, text in question.answers]
            for n, question in enumerate(self.questions)
            if question.answers
        }
        answered = list(texts)
        said = {n: self.text(n, offered[n]) for n in answered}
        refused = [
            nothing[n] > offered[n].probability
            for n in range(len(self.questions))
            if n not in texts
        ]
        metrics = {
            "f1": _mean([best_of(f1, said[n], texts[n]) for n in answered]),
            "exact": _mean([best_of(exact_match, said[n], texts[n]) for n in answered]),
            "kept": _mean([float(nothing[n] <= offered[n].probability) for n in answered]),
            "refused": _mean([float(one) for one in refused]),
        }
        return Metrics(log_loss(right), metrics)

    def offers(self, run: RunBatch, size: WindowSize) -> tuple[list[Span], Scores, Scores]:
        """What a model says to each question.

        returns: the most probable answer over all windows; (questions,) the probability of none,
            the smallest over the windows, as transformers' pipeline has it; (any,) the
            probabilities of the ends that were right
        """
        offered = [Span(0, 0, 0.0)] * len(self.questions)
        nothing = np.ones(len(self.questions))
        right: list[Scores] = []
        windows = self.windows(size.max_tokens, size.overlap_tokens)
        for batch in batches(windows, 32, self._padding):
            scores = span_scores(run, batch)
            for window, own in zip(batch.windows, scores, strict=True):
                right.append(own[window.target, [0, 1]])
                index = window.example
                nothing[index] = min(nothing[index], own[0, 0] * own[0, 1])
                span = self._best(window, own)
                if span.probability > offered[index].probability:
                    offered[index] = span
        return offered, nothing, np.concatenate(right) if right else np.empty(0)

    def _best(self, window: Window, scores: Scores) -> Span:
        first = int(window.type_ids.argmax())  # the context's first token
        inside = scores[first : len(window.ids) - 1]
        if not len(inside):
            return Span(0, 0, 0.0)
        products = np.triu(np.outer(inside[:, 0], inside[:, 1]))
        products -= np.triu(products, LONGEST_ANSWER)
        start, end = np.unravel_index(products.argmax(), products.shape)
        offsets = self._offsets_of(window.example)[window.first :]
        probability = float(products[start, end])
        return Span(int(offsets[start, 0]), int(offsets[end, 1]), probability)

    def text(self, index: int, span: Span) -> str:
        """The answer as it stands in the paragraph."""
        return self.questions[index].context[span.start : span.end]


def span_scores(run: RunBatch, batch: Batch) -> Scores:
    """(windows, tokens, 2) probabilities of a span's ends, over each window's own tokens."""
    logits = np.where(batch.attention_mask[:, :, None] == 1, run(batch), -np.inf)
    return softmax(logits, axis=1)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
