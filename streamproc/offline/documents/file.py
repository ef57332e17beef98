"""A data file, whatever its format: the one way to read rows, for every command."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from streamproc.offline.documents.delimited import Delimited
from streamproc.offline.documents.formats import Format, delimiter_of, format_of, require_text
from streamproc.offline.documents.json_lines import json_line_rows
from streamproc.offline.documents.json_values import json_rows
from streamproc.offline.documents.row import DataRow
from streamproc.offline.documents.source import Source, reading
from streamproc.offline.documents.streams import shown
from streamproc.offline.documents.text_lines import text_rows


class DataFile:
    """An open file of rows.

    format:  as it was told, or found
    columns: of CSV and TSV, their names; None of other formats
    """

    def __init__(self, source: Source, form: Format | None, fields: Sequence[str]) -> None:
        self._source = source
        require_text(source)
        self.format: Format = form or format_of(source, fields)
        self._table: Delimited | None = None
        if self.format in {"csv", "tsv"}:
            self._table = Delimited(source, delimiter_of(source.first_line(), self.format))
        self.columns = self._table.columns if self._table else None

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return shown(self._source.path)

    @property
    def share_read(self) -> float | None:
        """How much of the file was read, 0 to 1; None where it has no known end."""
        return self._source.share_read

    def rows(self) -> Iterator[DataRow]:
        """The rows in the file's order, read as they are asked for; what is no row has a fault.

        Raises DataFileError where nothing can be read further, or the text is not UTF-8.
        """
        if self._table is not None:
            return self._table.rows()
        if self.format == "text":
            return text_rows(self._source, "text")
        return json_rows(self._source) if self.format == "json" else json_line_rows(self._source)


@contextmanager
def open_data_file(
    path: Path,
    form: Format | None = None,
    *,
    encoding: str | None = None,
    fields: Sequence[str] = (),
) -> Iterator[DataFile]:
    """A file of rows, plain or gzipped; "-" is standard input.

    form:     None tells it by the file's name, else by how it begins
    encoding: of its text; None: UTF-8, with a byte order mark or without
    fields:   columns that rows need; see `format_of`
    Raises DataFileError, naming file and line; SettingsError for an encoding that there is not.
    """
    with reading(path, encoding) as source:
        yield DataFile(source, form, fields)
