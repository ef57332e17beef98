"""Question answering as something to learn: where in a paragraph the answer stands, if it does."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

from streamproc.corpus.questions import Question, read_questions
from streamproc.corpus.rows import Source
from streamproc.corpus.wordings import Wording
from streamproc.evaluation.squad import best_of, exact_match, f1, normalised
from streamproc.training.course import Judgement
from streamproc.training.encoder import EncoderCourse, Exercise
from streamproc.training.scoring import RunBatch, Scores, WindowSize, log_loss, softmax
from streamproc.training.windows import Batch, Window, batches, pieces

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

    def wordings(self, records: Iterable[Question]) -> Iterator[Wording]:
        return ((record.question, record.context) for record in records)

    def exercise(
        self, records: Sequence[Question], tokenizer: Tokenizer, labels: Sequence[str], seed: int
    ) -> Exercise:
        return Questions([*records, *mismatched(records, self.mismatched_share, seed)], tokenizer)


def mismatched(questions: Sequence[Question], share: float, seed: int) -> list[Question]:
    """Some of the questions, each asked of a paragraph that does not hold its answer."""
    order = random.Random(seed)  # noqa: S311  # an order to be repeated, not a secret
    contexts = list(dict.fromkeys(question.context for question in questions))
    chosen = order.sample(list(questions), round(share * len(questions)))
    asked: list[Question] = []
    for question in chosen:
        context = order.choice(contexts)
        answers = [normalised(text) for _, text in question.answers]
        if not any(answer in normalised(context) for answer in answers):
            asked.append(Question(question.question, context, (), question.fields))
    return asked


@dataclass(frozen=True, slots=True)
class Span:
    """An answer that a window offers, or none. start, end: in characters of the context."""

    start: int
    end: int
    probability: float


class Questions(Exercise):
    """Questions and paragraphs, tokenized; only the paragraph is cut into windows."""

    def __init__(self, questions: Sequence[Question], tokenizer: Tokenizer) -> None:
        self.questions = questions
        self._asked = [
            np.asarray(e.ids[:_LONGEST_QUESTION], dtype=np.int64)
            for e in tokenizer.encode_batch(
                [q.question for q in questions], add_special_tokens=False
            )
        ]
        distinct = list(dict.fromkeys(question.context for question in questions))
        encoded = tokenizer.encode_batch(distinct, add_special_tokens=False)
        encodings = dict(zip(distinct, encoded, strict=True))
        self._contexts = [encodings[question.context] for question in questions]
        self._start, self._end = (tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]"))
        self._padding = tokenizer.token_to_id("[PAD]")

    def windows(self, max_tokens: int, overlap_tokens: int = 0) -> Sequence[Window]:
        """[CLS] question [SEP] piece of the context [SEP]; without the answer, [CLS] is right."""
        cut: list[Window] = []
        for index, (asked, context) in enumerate(zip(self._asked, self._contexts, strict=True)):
            right = self._span(index)
            ids = np.asarray(context.ids, dtype=np.int64)
            # At least half of a window is left to the paragraph.
            heard = asked[: max_tokens // 2 - 3]
            before = np.concatenate(([self._start], heard, [self._end]))
            room = max_tokens - len(before) - 1
            for piece in pieces(len(ids), room, min(overlap_tokens, room // 2)):
                framed = np.concatenate((before, ids[piece], [self._end]))
                types = np.repeat([0, 1], [len(before), len(framed) - len(before)])
                target = np.zeros(2, dtype=np.int64)
                if right and piece.start <= right[0] and right[1] < piece.stop:
                    target = np.array(right) - piece.start + len(before)
                cut.append(Window(framed, types, target, index, piece.start))
        return cut

    def lessons(self, max_tokens: int) -> Sequence[Window]:
        """The windows that hold the answer, where there is one, and all where there is none."""
        cut = self.windows(max_tokens, 2 * LONGEST_ANSWER)
        return [w for w in cut if w.target.any() or not self.questions[w.example].answers]

    def _span(self, index: int) -> tuple[int, int] | None:
        """First and last token of the first answer; none without one."""
        if not self.questions[index].answers:
            return None
        start, text = self.questions[index].answers[0]
        offsets = self._contexts[index].offsets
        inside = [n for n, (a, b) in enumerate(offsets) if a < start + len(text) and b > start]
        return (inside[0], inside[-1]) if inside else None

    def judge(self, run: RunBatch, size: WindowSize) -> Judgement:
        """F1 and exact matches of the best answers, where there is one; and where there is none.

        loss: of both ends, in the windows
        """
        offered, nothing, right = self.offers(run, size)
        answered = [n for n, question in enumerate(self.questions) if question.answers]
        said = {n: self.text(n, offered[n]) for n in answered}
        texts = {n: [text for _, text in self.questions[n].answers] for n in answered}
        refused = [
            nothing[n] > offered[n].probability
            for n, question in enumerate(self.questions)
            if not question.answers
        ]
        metrics = {
            "f1": _mean([best_of(f1, said[n], texts[n]) for n in answered]),
            "exact": _mean([best_of(exact_match, said[n], texts[n]) for n in answered]),
            "kept": _mean([float(nothing[n] <= offered[n].probability) for n in answered]),
            "refused": _mean([float(one) for one in refused]),
        }
        return Judgement(log_loss(right), metrics)

    def offers(self, run: RunBatch, size: WindowSize) -> tuple[list[Span], Scores, Scores]:
        """What a model says to each question.

        returns: the most probable answer over all windows; (questions,) the probability of none,
            the smallest over the windows, as transformers' pipeline has it; (any,) the
            probabilities of the ends that were right
        """
        offered = [Span(0, 0, 0.0)] * len(self.questions)
        nothing = np.ones(len(self.questions))
        right: list[Scores] = []
        cut = self.windows(size.max_tokens, size.overlap_tokens)
        for batch in batches(cut, 32, self._padding):
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
        offsets = self._contexts[window.example].offsets[window.first :]
        return Span(offsets[start][0], offsets[end][1], float(products[start, end]))

    def text(self, index: int, span: Span) -> str:
        """The answer as it stands in the paragraph."""
        return self.questions[index].context[span.start : span.end]


def span_scores(run: RunBatch, batch: Batch) -> Scores:
    """(windows, tokens, 2) probabilities of a span's ends, over each window's own tokens."""
    logits = np.where(batch.attention_mask[:, :, None] == 1, run(batch), -np.inf)
    return softmax(logits, axis=1)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
