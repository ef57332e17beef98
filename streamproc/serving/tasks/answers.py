"""Answers out of a context's windows: those of the same text are one, no answer is one too."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import nsmallest

# Answers of different texts that are kept while a context is read. Beyond, the worse half is
# forgotten, so that a context of any length takes bounded memory.
MAX_KEPT = 5_000
# A token may be a word of any length; what is longer than this is nobody's answer.
MAX_CHARACTERS = 4_096


@dataclass(slots=True)
class AnswerSpan:
    """A stretch of the context; the first of its text that was found says where.

    start, end: characters of the context; both 0 for no answer
    score: the sum over all spans that say the same, so it may exceed 1
    """

    start: int
    end: int
    score: float


class Answers:
    """What one opinion finds in the windows of a context, a window after the other.

    null_score: how likely the context is to hold no answer, 1 before any window was looked at
    """

    def __init__(self, context: str) -> None:
        self._context = context
        self._by_text: dict[str, AnswerSpan] = {}
        self.null_score = 1.0

    def add(self, start: int, end: int, score: float) -> None:
        """Take a span of characters; text in other capitals is the same answer.

        A span without a character, as some tokens have it, is no answer.
        """
        if not 0 < end - start <= MAX_CHARACTERS:
            return
        text = self._context[start:end].lower()
        known = self._by_text.get(text)
        if known is not None:
            known.score += score
            return
        self._by_text[text] = AnswerSpan(start, end, score)
        if len(self._by_text) > MAX_KEPT:
            kept = sorted(self._by_text.items(), key=lambda item: _rank(item[1]))[: MAX_KEPT // 2]
            self._by_text = dict(kept)

    def add_null(self, score: float) -> None:
        """Take how likely a window is to hold no answer; the smallest counts for the context."""
        self.null_score = min(self.null_score, score)

    def best(self, count: int, null_threshold: float | None) -> list[AnswerSpan]:
        """The best `count` answers, at least one.

        null_threshold: no answer is among them, and stands before those whose score its own exceeds
            by more than this; None: it is given only where nothing at all was found
        """
        answers = nsmallest(count, self._by_text.values(), key=_rank)
        if null_threshold is None and answers:
            return answers
        null = self.null_score
        better = [answer for answer in answers if null - answer.score <= (null_threshold or 0.0)]
        return [*better, AnswerSpan(0, 0, null), *answers[len(better) :]][:count]

    def scores(self, *, with_null: bool) -> list[float]:
        """The scores of all answers found, and perhaps that of no answer, in no order."""
        found = [answer.score for answer in self._by_text.values()]
        return [*found, self.null_score] if with_null or not found else found


def _rank(answer: AnswerSpan) -> tuple[float, int, int]:
    return -answer.score, answer.start, answer.end
