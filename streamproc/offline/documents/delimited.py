"""Rows of CSV and TSV: a line of names, then a value for each of them."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from streamproc.offline.documents.row import DataRow
from streamproc.offline.documents.source import MAX_ROW_BYTES, Source

_SHOWN = 20


class Delimited:
    """A file of columns, read as the csv module writes it.

    columns: their names; none of an empty file
    A row of more or fewer values than columns has a fault, as has one whose quotes don't match:
    what follows an unquoted comma would be lost, or a row swallow the next.
    """

    def __init__(self, source: Source, delimiter: str) -> None:
        """Raises DataFileError when the names can't be read, or two are the same."""
        # The module's own limit, of 128 KiB a field, would end the file at the first longer text.
        csv.field_size_limit(MAX_ROW_BYTES)
        self._source = source
        decoded = (source.text(line) for line in source.lines())
        self._reader = csv.reader(decoded, delimiter=delimiter, strict=True)
        try:
            self.columns = tuple(next((cells for cells in self._reader if cells), ()))
        except csv.Error as error:
            source.fail(f", line {source.line}: no line of column names: {error}")
        twice = sorted({name for name in self.columns if self.columns.count(name) > 1})
        if twice:
            source.fail(f": two columns are called {twice[0]!r}; give each its own name")

    def rows(self) -> Iterator[DataRow]:
        """The rows, blank lines left out; raises DataFileError for wrong UTF-8."""
        number = 0
        while True:
            line = self._source.line + 1
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                number += 1
                yield DataRow(line, number, fault=self._misquoted(line, error))
                continue
            if not cells:
                continue
            number += 1
            values = dict(zip(self.columns, cells, strict=False))
            wrong = len(cells) != len(self.columns)
            fault = self._ragged(line, len(cells)) if wrong else ""
            yield DataRow(line, number, values, fault=fault)

    def _ragged(self, line: int, found: int) -> str:
        expected = len(self.columns)
        columns = "1 column" if expected == 1 else f"{expected} columns"
        why = "; a value that holds the separator stands in quotes" if found > expected else ""
        return f"line {line}: {columns} expected, found {found}{why}"

    def _misquoted(self, line: int, error: csv.Error) -> str:
        if "field larger" in str(error):
            self._source.fail(f", line {line}: a value of more than {MAX_ROW_BYTES} bytes")
        if "unexpected end" in str(error):
            return f"line {line}: a quote is opened that is closed nowhere in the rest of the file"
        return f"line {line}: {error}; a quote inside quotes is written twice"
