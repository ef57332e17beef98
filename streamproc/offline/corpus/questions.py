"""Questions on a paragraph, the records of a corpus for question answering (as SQuAD has them)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from streamproc.offline.corpus.rows import CorpusRow, Source, read_rows


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and the paragraph that answers it.

    answers: (start, text) in characters of the context, `context[start:].startswith(text)`;
        none where the paragraph has no answer, which some corpora spell as an empty one
    """

    question: str
    context: str
    answers: tuple[tuple[int, str], ...]
    fields: Mapping[str, str]

    @property
    def text(self) -> str:
        """The paragraph: questions on one paragraph stay together, however parts are made."""
        return self.context


def read_questions(source: Source) -> Iterator[Question]:
    """The questions of a file with fields `question`, `context`, `answers`.

    answers: {"text": [...], "answer_start": [...]}, in characters
    Raises TrainingError with file and line when one can't be read.
    """
    for row in read_rows(source.path):
        context = row.text("context")
        fields = {**row.others("question", "context"), "corpus": source.name}
        yield Question(row.text("question"), context, _answers(row, context), fields)


def _answers(row: CorpusRow, context: str) -> tuple[tuple[int, str], ...]:
    answers = row.get("answers")
    if not isinstance(answers, dict):
        row.fail("'answers' is not an object with text and answer_start.")
    texts, starts = answers.get("text"), answers.get("answer_start")
    if not isinstance(texts, list) or not isinstance(starts, list) or len(texts) != len(starts):
        row.fail("'answers' needs as many texts as answer_starts.")
    found = tuple(zip(starts, texts, strict=True))
    for start, text in found:
        known = isinstance(start, int) and isinstance(text, str)
        if not known or start < 0 or not context.startswith(text, start):
            row.fail(f"answer {text!r} does not stand at {start!r} of the context.")
    return tuple((start, text) for start, text in found if text)
