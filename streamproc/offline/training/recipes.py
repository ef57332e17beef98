"""The courses there are, and how each is set up from what a user chose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from streamproc.errors import TrainingError
from streamproc.offline.corpus.names import names_from
from streamproc.offline.corpus.records import Columns
from streamproc.offline.corpus.rows import Source
from streamproc.offline.training.base import find_base
from streamproc.offline.training.encoder import Learning
from streamproc.offline.training.pruning import PruneConfig
from streamproc.offline.training.question_answering import QuestionAnswering
from streamproc.offline.training.scoring import WindowSize
from streamproc.offline.training.text_classification import TextClassification
from streamproc.offline.training.text_generation import TextGeneration
from streamproc.offline.training.token_classification import TokenClassification
from streamproc.offline.training.training_task import TrainingTask
from streamproc.offline.training.translation import Translation


@dataclass(frozen=True, slots=True)
class Choice:
    """What a user chose; a course takes of it what it knows.

    labels: SPELLING=NAME, or NAME alone where the corpus spells it so
    layers: numbers of the base's layers, or how many there are to be
    freeze_layers: the base's first layers that stay as they are, before all members
    prefix_corpus: what words are chosen and frozen layers are quantised by, where not the corpus
    """

    labels: Sequence[str]
    base: Path | None
    text_field: str
    label_field: str
    vocabulary_size: int
    layers: str
    heads: int | None
    width: int
    ffn_width: int
    window_tokens: int
    overlap_tokens: int
    freeze_layers: int
    prefix_corpus: Sequence[Source]

    @property
    def window(self) -> WindowSize:
        return WindowSize(self.window_tokens, self.overlap_tokens)

    @property
    def shape(self) -> PruneConfig:
        """Of a model cut out of a base."""
        return PruneConfig(_numbers(self.layers), self.ffn_width, self.heads, self.window_tokens)

    @property
    def depth(self) -> int:
        """The layers of a model from scratch; raises TrainingError."""
        numbers = _numbers(self.layers)
        if len(numbers) != 1 or numbers[0] < 1:
            raise TrainingError(f"--layers {self.layers!r}: from scratch, say how many, e.g. 3.")
        return numbers[0]

    def names(self, least: int) -> dict[str, str]:
        """The labels by the corpus's spelling; raises TrainingError."""
        return names_from(self.labels, least)


def course_of(task: str, choice: Choice) -> TrainingTask[Any]:
    """The course for a task; raises TrainingError for one that can't be learned."""
    if task not in _COURSES:
        raise TrainingError(f"--task {task!r}: expected one of {', '.join(_COURSES)}.")
    return _COURSES[task](choice)


def _text_classification(choice: Choice) -> TrainingTask[Any]:
    return TextClassification(
        find_base(choice.base),
        choice.vocabulary_size,
        choice.shape,
        Learning(min(choice.window_tokens, 128)),
        choice.window,
        frozen=choice.freeze_layers,
        shared=choice.prefix_corpus,
        names=choice.names(2),
        columns=Columns(choice.text_field, choice.label_field),
    )


def _token_classification(choice: Choice) -> TrainingTask[Any]:
    return TokenClassification(
        find_base(choice.base),
        choice.vocabulary_size,
        choice.shape,
        Learning(min(choice.window_tokens, 128)),
        choice.window,
        frozen=choice.freeze_layers,
        shared=choice.prefix_corpus,
        names=choice.names(1),
    )


def _question_answering(choice: Choice) -> TrainingTask[Any]:
    return QuestionAnswering(
        find_base(choice.base),
        choice.vocabulary_size,
        choice.shape,
        Learning(min(choice.window_tokens, 128), 1),
        choice.window,
        frozen=choice.freeze_layers,
        shared=choice.prefix_corpus,
    )


def _text_generation(choice: Choice) -> TrainingTask[Any]:
    return TextGeneration(
        choice.vocabulary_size,
        choice.depth,
        choice.heads or max(1, choice.width // 32),
        choice.width,
        choice.ffn_width,
        choice.window_tokens,
        choice.text_field,
    )


def _translation(choice: Choice) -> TrainingTask[Any]:
    return Translation(
        choice.vocabulary_size,
        choice.depth,
        choice.heads or max(1, choice.width // 32),
        choice.width,
        choice.ffn_width,
        choice.window_tokens,
    )


_COURSES: dict[str, Callable[[Choice], TrainingTask[Any]]] = {
    "text-classification": _text_classification,
    "token-classification": _token_classification,
    "question-answering": _question_answering,
    "translation": _translation,
    "text-generation": _text_generation,
}


LABELLED: Final = ("text-classification", "token-classification")
"""Tasks whose members learn labels."""


def _numbers(written: str) -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in written.split(","))
    except ValueError:
        raise TrainingError(f"--layers {written!r}: expected numbers, e.g. 0,1.") from None
