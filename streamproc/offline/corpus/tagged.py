"""Tagged words, the records of a corpus for token classification."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from streamproc.errors import TrainingError
from streamproc.offline.corpus.rows import Source, read_rows

OUTSIDE = "O"


@dataclass(frozen=True, slots=True)
class TaggedText:
    """One sentence of a corpus.

    words, tags: of one length; tags are BIO, as the corpus spells them ("B-person", "O")
    """

    words: tuple[str, ...]
    tags: tuple[str, ...]
    fields: Mapping[str, str]

    @property
    def text(self) -> str:
        """The words joined by single spaces: how corpora of words become texts here."""
        return " ".join(self.words)


def read_tagged(source: Source) -> Iterator[TaggedText]:
    """The sentences of a file with fields `tokens` and `tags`.

    Raises TrainingError with file and line when one can't be read.
    """
    for row in read_rows(source.path):
        words, tags = row.texts("tokens"), row.texts("tags")
        if len(words) != len(tags):
            row.fail(f"{len(words)} tokens, but {len(tags)} tags.")
        for tag in tags:
            if tag != OUTSIDE and (tag[:2] not in {"B-", "I-"} or not tag[2:]):
                row.fail(f"tag {tag!r} is none of O, B-… and I-….")
        yield TaggedText(words, tags, {**row.others(), "corpus": source.name})


def read_named(source: Source, names: Mapping[str, str]) -> Iterator[TaggedText]:
    """The sentences of a file, their entities called as an ensemble calls them.

    names: the ensemble's entity for each spelling in the corpus ("person" → "PER"), "O" for what
        is to be no entity; a spelling "corpus:person" is looked for first
    Raises TrainingError at the end, naming the entities that have no name.
    """

    def named(spelling: str) -> str:
        return names.get(f"{source.name}:{spelling}", names.get(spelling, ""))

    unknown: set[str] = set()
    for text in read_tagged(source):
        known = {tag[2:]: named(tag[2:]) for tag in text.tags if tag != OUTSIDE}
        unknown |= {spelling for spelling, name in known.items() if not name}
        renamed = (
            OUTSIDE if known.get(tag[2:], OUTSIDE) == OUTSIDE else tag[:2] + known[tag[2:]]
            for tag in text.tags
        )
        yield TaggedText(text.words, tuple(renamed), text.fields)
    if unknown:
        raise TrainingError(
            f"{source.path}: entities {', '.join(sorted(unknown))} are not named; named are "
            f"{', '.join(names)}. Name every entity with --label, as O what is to be none."
        )
