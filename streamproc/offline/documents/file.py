"""A data file, whatever its format: the one way to read rows, for every command."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from streamproc.offline.documents.delimited import Delimited
from streamproc.offline.documents.formats import (
    DOCUMENT_FORMATS,
    Format,
    binary_or_document,
    delimiter_of,
    format_of,
    require_text,
)
from streamproc.offline.documents.json_lines import json_line_rows
from streamproc.offline.documents.json_values import json_rows
from streamproc.offline.documents.parquet import ParquetTable, open_parquet
from streamproc.offline.documents.row import DataRow
from streamproc.offline.documents.source import Source
from streamproc.offline.documents.streams import OpenFile, opened
from streamproc.offline.documents.text_lines import text_rows
from streamproc.offline.documents.transcoding import DETECT, in_utf8, require_encoding
from streamproc.offline.documents.whole_file import ReadDocument, document_rows, read_document


@dataclass(frozen=True, slots=True)
class DataFile:
    """An open file of rows.

    format:  as it was told, or found
    rows:    the rows in the file's order, read as they are asked for; what is no row has a fault.
        Raises DataFileError where nothing can be read further, or text is not in its encoding
    columns: of CSV, TSV and Parquet, their names; None of other formats
    table:   of Parquet, the open table
    said:    what is to be told of the file as a whole; "" where there is nothing
    """

    file: OpenFile
    format: Format
    rows: Callable[[], Iterator[DataRow]]
    columns: tuple[str, ...] | None = None
    table: ParquetTable | None = None
    said: str = ""

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return self.file.name

    @property
    def share_read(self) -> float | None:
        """How much of the file was read, 0 to 1; None where it has no known end."""
        return self.table.share_read if self.table is not None else self.file.share_read

    @property
    def is_document(self) -> bool:
        """It is one text, rather than rows."""
        return self.format in DOCUMENT_FORMATS

    @property
    def holds_text(self) -> bool:
        """Its rows have a text, and nothing beside it."""
        return self.format == "text" or self.is_document


@contextmanager
def open_data_file(
    path: Path,
    form: Format | None = None,
    *,
    encoding: str | None = None,
    fields: Sequence[str] = (),
    columns: Collection[str] | None = None,
    whole_texts: bool = False,
    read: ReadDocument = read_document,
) -> Iterator[DataFile]:
    """A file of rows, or one that is a document, plain or packed; "-" is standard input.

    form:        None tells it by the file's name, else by how it begins
    encoding:    of its text; None: UTF-8, with a byte order mark or without; that of a document
                 may be another, and is detected, as that of rows is with DETECT
    fields:      columns that rows need; see `format_of`
    columns:     of Parquet, those whose values are read; None: all
    whole_texts: what is text is one document, rather than a text in each line
    read:        reads a document, as `read_document` does
    Raises DataFileError, naming file and line; SettingsError for an encoding that there is not, and
    where an extra is not installed.
    """
    if encoding not in (None, DETECT):
        require_encoding(encoding)
    with opened(path) as file:
        form = form or binary_or_document(file, whole_texts=whole_texts)
        if form == "parquet":
            with open_parquet(file) as table:
                yield DataFile(file, form, partial(table.rows, columns), table.columns, table)
        elif form in DOCUMENT_FORMATS:
            yield DataFile(file, form, partial(document_rows, file, form, encoding, read))
        else:
            text, said = in_utf8(file, encoding)
            yield replace(_file_of_rows(text, form, fields), said=said)


def _file_of_rows(file: OpenFile, form: Format | None, fields: Sequence[str]) -> DataFile:
    source = Source(file)
    require_text(source)
    form = form or format_of(source, fields)
    if form in {"csv", "tsv"}:
        table = Delimited(source, delimiter_of(source.first_line(), form))
        return DataFile(file, form, table.rows, table.columns)
    if form == "text":
        return DataFile(file, form, partial(text_rows, source, "text"))
    if form == "json":
        return DataFile(file, form, partial(json_rows, source))
    return DataFile(file, form, partial(json_line_rows, source))
