"""A file that is one text, and what reads such files: a reader for each format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Document:
    """The text of a document: paragraphs with a blank line between, a table's rows as lines.

    warnings: what was not read of it, or not surely read as it was meant
    """

    text: str
    warnings: tuple[str, ...] = ()


class DocumentError(Exception):
    """Why a document has no text to be read, as a sentence that goes on from the file's name."""


class DocumentReader(Protocol):
    """Reads the documents of one format."""

    def __call__(self, data: bytes, encoding: str | None) -> Document:
        """The text in a file's bytes.

        data:     of the whole file, which may be anything
        encoding: of text, where the file does not say it; None: UTF-8, else it is detected
        Raises DocumentError, and ModuleNotFoundError where an extra is not installed.
        """
        ...
