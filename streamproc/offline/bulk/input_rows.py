"""Rows of many files as requests: a file that is wrong is an error, and the next ones are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from streamproc.errors import DataFileError
from streamproc.offline.bulk.request_rows import (
    FieldsMissing,
    RequestRow,
    request_rows,
    required_fields,
    used_columns,
)
from streamproc.offline.documents.file import DataFile, open_data_file
from streamproc.offline.documents.formats import Format
from streamproc.offline.documents.inputs import InputFile, Inputs
from streamproc.offline.documents.reader_process import ReaderProcess
from streamproc.offline.documents.row import RowSource
from streamproc.serving.tasks.task import Task

_MAX_TOLD = 50


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """What files do not say themselves.

    form:     None: as each file's name says, or how it begins
    encoding: of text; None: UTF-8, else that of a document is detected
    columns:  by request field, the column that it is read from, where that has another name
    keep_columns: all columns are read; else one that no field is read from is told, and in Parquet
        not read
    """

    form: Format | None = None
    encoding: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    keep_columns: bool = False


class InputRows:
    """The rows of all files as requests of a task, read as they are asked for."""

    def __init__(
        self,
        inputs: Inputs,
        task: Task,
        tell: Callable[[str], None] = lambda _: None,
        options: ReadingOptions | None = None,
    ) -> None:
        """tell: is told in a line, and once, what may be a mistake"""
        self._inputs, self._task = inputs, task
        self._options = options or ReadingOptions()
        self._tell = _once(tell)
        self._file: DataFile | None = None
        self._total_bytes: int | None = None
        self._bytes_before, self._bytes_now = 0, 0

    @property
    def share_read(self) -> float | None:
        """How much of all files was read, 0 to 1; None where they have no known end."""
        total, file = self._total_bytes, self._file
        if total is None:
            return None
        now = self._bytes_now * (file.share_read or 0) if file is not None else 0
        return min(1.0, (self._bytes_before + now) / total) if total else 1.0

    def __iter__(self) -> Iterator[RequestRow]:
        """The rows, numbered through all files.

        Raises SettingsError, and DataFileError where a single file was named and can't be read.
        """
        # Counted here, as whoever asks for the share is not to wait for it.
        self._total_bytes = self._inputs.total_bytes
        with ReaderProcess() as reader:
            yield from self._all_rows(reader)

    def _all_rows(self, reader: ReaderProcess) -> Iterator[RequestRow]:
        number = 0
        for file in self._inputs:
            self._bytes_now = file.size_bytes or 0
            rows_before = number
            try:
                for row in self._rows(file, number + 1, reader):
                    number = row.number
                    yield row
                fault = "" if number > rows_before else f"{file.path} has no rows"
            except (DataFileError, FieldsMissing) as error:
                if self._inputs.alone:
                    raise
                # A path may have bytes that are not UTF-8, which no answer could hold.
                escaped = str(error).encode("utf-8", "surrogateescape")
                fault = escaped.decode("utf-8", "backslashreplace")
            if fault and not self._inputs.alone:
                number += 1
                source = RowSource(file.name, None)
                yield RequestRow(number, file.id(), None, fault, source=source)
            self._file = None
            self._bytes_before += self._bytes_now

    def _rows(self, file: InputFile, first: int, reader: ReaderProcess) -> Iterator[RequestRow]:
        if file.fault:
            raise DataFileError(file.fault)
        options, alone = self._options, self._inputs.alone
        with open_data_file(
            file.path,
            options.form,
            encoding=options.encoding,
            fields=required_fields(self._task),
            columns=None if options.keep_columns else used_columns(self._task, options.columns),
            whole_texts=not alone,
            read=reader.read,
        ) as self._file:
            yield from request_rows(
                self._file,
                self._task,
                self._tell,
                columns=options.columns,
                tell_unused=not options.keep_columns,
                name=file.name,
                # Of a file alone its rows' numbers are enough.
                default_id=lambda row: str(row) if alone and row is not None else file.id(row),
                first=first,
            )


def _once(tell: Callable[[str], None]) -> Callable[[str], None]:
    told = set[str]()

    def tell_once(line: str) -> None:
        if line not in told and len(told) < _MAX_TOLD:
            told.add(line)
            tell(line if len(told) < _MAX_TOLD else f"{line}; no more of these lines are shown")

    return tell_once
