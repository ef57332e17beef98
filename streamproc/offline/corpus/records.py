"""Labelled texts, the records of a corpus for text classification."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from streamproc.offline.corpus.rows import read_rows


@dataclass(frozen=True, slots=True)
class LabelledText:
    """One labelled text of a corpus.

    label:  as the corpus spells it ("1", "positive")
    fields: the record's other fields, as text; what a corpus may be partitioned by
    """

    text: str
    label: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Columns:
    """The names under which a corpus keeps its texts and labels."""

    text: str = "text"
    label: str = "label"


def read_labelled_texts(
    path: Path, columns: Columns | None = None, corpus: str = ""
) -> Iterator[LabelledText]:
    """The records of a corpus file, in the file's order, read as they are asked for.

    corpus: what each record says in its field `corpus`
    Raises TrainingError with file and line when a record can't be read.
    """
    columns = columns or Columns()
    for row in read_rows(path):
        fields = row.others(columns.text, columns.label) | ({"corpus": corpus} if corpus else {})
        label = row.get(columns.label)
        if isinstance(label, list | dict):
            row.fail(f"{columns.label!r} is not one label; --label-field names the field with it.")
        yield LabelledText(row.text(columns.text), str(label), fields)
