"""What a corpus says, whatever it is for: to choose words by, and to measure frozen layers with."""

from __future__ import annotations

from collections.abc import Iterator

from streamproc.corpus.rows import Source, read_rows

# A text, and the second one of a pair: a question and its paragraph.
Wording = tuple[str, str | None]


def read_wordings(source: Source) -> Iterator[Wording]:
    """The texts of a file with `question` and `context`, or `tokens`, or `text`.

    Raises TrainingError with file and line when a row has none of them.
    """
    for row in read_rows(source.path):
        if "question" in row.values:
            yield row.text("question"), row.text("context")
        elif "tokens" in row.values:
            yield " ".join(row.texts("tokens")), None
        else:
            yield row.text("text"), None
