"""Rows of plain text: each line is one, the empty ones too."""

from __future__ import annotations

from collections.abc import Iterator

from streamproc.offline.documents.row import DataRow
from streamproc.offline.documents.source import Source


def text_rows(source: Source, field: str) -> Iterator[DataRow]:
    """A row for each line, which is its `field`; raises DataFileError for wrong UTF-8."""
    for line in source.lines():
        yield DataRow(source.line, source.line, {field: source.text(line).rstrip("\r\n")})
