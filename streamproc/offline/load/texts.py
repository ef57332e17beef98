"""Texts to ask about, from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from streamproc.errors import SettingsError
from streamproc.offline.documents.file import open_data_file
from streamproc.offline.load.mix import QUESTION, Text

MOST_TEXTS: Final = 100_000


def read_texts(path: Path) -> list[Text]:
    """The texts of a file, at most the first 100,000 of them.

    path: lines of text, a document, or rows with `text`, or with `context` and `question`
    Raises SettingsError and DataFileError, naming file and line.
    """
    texts: list[Text] = []
    with open_data_file(path, fields=("text",)) as file:
        for row in file.rows():
            if row.fault:
                raise SettingsError(f"{path}, {row.fault}")
            text = row.values.get("text", row.values.get("context"))
            question = row.values.get("question", QUESTION)
            if not isinstance(text, str) or not isinstance(question, str):
                there = ", ".join(map(repr, row.values)) or "nothing"
                raise SettingsError(
                    f"{path}, line {row.line}: no field 'text' (or 'context' and 'question') that "
                    f"is a text; it has {there}"
                )
            if text.strip():
                texts.append(Text(text, question or QUESTION))
            if len(texts) >= MOST_TEXTS:
                break
    if not texts:
        raise SettingsError(f"{path}: there is no text in it to ask about")
    return texts
