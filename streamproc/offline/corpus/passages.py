"""Plain texts, the records of a corpus for text generation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from streamproc.offline.corpus.rows import Source, read_rows


@dataclass(frozen=True, slots=True)
class Passage:
    """A text that stands by itself: an article, a scene, a book."""

    text: str
    fields: Mapping[str, str]


def read_passages(source: Source, text_field: str = "text") -> Iterator[Passage]:
    """The texts of a file; raises TrainingError with file and line when one can't be read."""
    for row in read_rows(source.path):
        yield Passage(row.text(text_field), {**row.others(text_field), "corpus": source.name})
