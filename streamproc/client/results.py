"""The results of each task, as its response schema has them, for type checkers."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

FinishReason = Literal["stop", "length"]


class NumberResult(TypedDict):
    """One number of a regression."""

    value: float
    spread: float


class ClassificationResult(TypedDict, total=False):
    """text-classification; what an ensemble's outputs are decides which fields there are."""

    label: str
    score: float
    scores: dict[str, float]
    labels: list[str]
    value: float
    spread: float
    values: dict[str, NumberResult]


class Entity(TypedDict):
    """A name in a text, whose `word` is text[start:end].

    With `aggregation: none` each token has `entity` and `index` in place of `entity_group`.
    """

    score: float
    word: str
    start: int
    end: int
    entity_group: NotRequired[str]
    entity: NotRequired[str]
    index: NotRequired[int]


class EntitiesResult(TypedDict):
    """token-classification."""

    entities: list[Entity]


class FoundAnswer(TypedDict):
    """A span of a context; the empty one says that there is no answer."""

    answer: str
    score: float
    start: int
    end: int


class QuestionAnsweringResult(FoundAnswer):
    """question-answering: the best answer, and as many as were asked for."""

    answers: list[FoundAnswer]


class Span(TypedDict):
    """Characters of a text."""

    start: int
    end: int


class TranslationResult(TypedDict):
    """translation; unfinished: sentences that came to no end."""

    translation_text: str
    finish_reason: FinishReason
    unfinished: list[Span]


class SummaryChunk(Span):
    """Characters that were summarised together."""

    finish_reason: FinishReason


class SummaryResult(TypedDict):
    """summarization."""

    summary_text: str
    finish_reason: FinishReason
    chunks: list[SummaryChunk]


class NextToken(TypedDict):
    """A token that may come next."""

    token: str
    probability: float


class GenerationResult(TypedDict):
    """text-generation."""

    generated_text: str
    finish_reason: FinishReason
    next_tokens: NotRequired[list[NextToken]]
