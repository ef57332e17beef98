"""Any row of a corpus as something to partition, whatever its task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass

from streamproc.offline.corpus.records import Columns
from streamproc.offline.corpus.rows import CorpusRow, Source, read_rows

# Rows that are placed together, so that embeddings run in batches.
_BATCH_ROWS = 1024
_BATCH_CHARACTERS = 4 << 20
# Beyond this it is no label that is counted.
_MAX_LABELS = 10_000


@dataclass(frozen=True, slots=True)
class RowItem:
    """A row of a corpus.

    text:   as the row's task has it: its text, or a question's paragraph, or tagged words joined
            by spaces, or a sentence to be translated
    fields: every field but the text, and the source's name as `corpus`
    labels: its label, or several; or the kinds of its entities, one for each; or whether there is
            an answer
    """

    row: CorpusRow
    text: str
    fields: Mapping[str, str]
    labels: tuple[str, ...]

    def expect_end_of(self, labels: Sized) -> None:
        """Raise TrainingError where so many different labels were read that they can't be such."""
        if len(labels) > _MAX_LABELS:
            self.row.fail(
                f"more than {_MAX_LABELS} different labels so far; name the field with the label."
            )


def read_items(source: Source, columns: Columns) -> Iterator[RowItem]:
    """The rows of a file, read as they are asked for; raises TrainingError with file and line."""
    for row in read_rows(source.path):
        fields = {**row.others(columns.text), "corpus": source.name}
        yield RowItem(row, _text(row, columns), fields, _labels(row, columns))


def labels_in(sources: Sequence[Source], columns: Columns) -> list[str]:
    """The different labels of all rows, in alphabetical order; raises TrainingError."""
    found: set[str] = set()
    for source in sources:
        for item in read_items(source, columns):
            found.update(item.labels)
            item.expect_end_of(found)
    return sorted(found)


def batched(items: Iterator[RowItem]) -> Iterator[list[RowItem]]:
    """The items in lists, in order, none of them large in rows or in characters."""
    batch: list[RowItem] = []
    characters = 0
    for item in items:
        batch.append(item)
        characters += item.row.characters
        if len(batch) == _BATCH_ROWS or characters >= _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _text(row: CorpusRow, columns: Columns) -> str:
    if columns.text not in row.values:
        if "context" in row.values:
            return row.text("context")
        if "tokens" in row.values:
            return " ".join(row.texts("tokens"))
        if "src" in row.values:
            return row.text("src")
    return row.text(columns.text)


def _labels(row: CorpusRow, columns: Columns) -> tuple[str, ...]:
    if "tokens" in row.values and "tags" in row.values:
        return tuple(tag[2:] for tag in row.texts("tags") if tag.startswith("B-"))
    answers = row.values.get("answers")
    if isinstance(answers, dict):
        return ("answer" if any(answers.get("text") or ()) else "no answer",)
    label = row.values.get(columns.label)
    if isinstance(label, list):
        return tuple(map(str, label))
    return () if label is None else (str(label),)
