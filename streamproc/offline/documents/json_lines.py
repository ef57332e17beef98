"""Rows of JSON Lines: an object a line; lines of nothing count, and are passed over."""

from __future__ import annotations

from collections.abc import Iterator

from streamproc.offline.documents.row import DataRow, json_row
from streamproc.offline.documents.source import Source


def json_line_rows(source: Source) -> Iterator[DataRow]:
    """The rows; one that is no JSON object has a fault. Raises DataFileError for wrong UTF-8."""
    for line in source.lines():
        written = line.strip()
        if not written:
            continue
        row = json_row(written, source.line, source.line)
        if row.fault:
            source.text(line)
        yield row
