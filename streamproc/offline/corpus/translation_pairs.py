"""Sentences and their translations, the records of a corpus for translation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from streamproc.offline.corpus.rows import Source, read_rows


@dataclass(frozen=True, slots=True)
class Pair:
    """A sentence and one of its translations."""

    source: str
    target: str
    fields: Mapping[str, str]

    @property
    def text(self) -> str:
        """The source: all translations of one sentence share a part."""
        return self.source


def read_pairs(source: Source) -> Iterator[Pair]:
    """The pairs of a file with fields `src` and `tgt`; raises TrainingError with file and line."""
    for row in read_rows(source.path):
        fields = {**row.others("src", "tgt"), "corpus": source.name}
        yield Pair(row.text("src"), row.text("tgt"), fields)
