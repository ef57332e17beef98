"""Rows of Parquet, a batch in memory at a time."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from streamproc.errors import DataFileError, SettingsError
from streamproc.offline.documents.extras import needs_extra
from streamproc.offline.documents.row import DataRow
from streamproc.offline.documents.streams import STDIN, OpenFile

_BATCH_ROWS = 256
# Of a column as it is read; without it the whole column of a row group is.
_BUFFER_BYTES = 1 << 20
# Of a file that is packed, or comes through a pipe, and is unpacked into one on the disk: Parquet
# is read from its end.
MAX_UNPACKED_BYTES = 4 << 30


class ParquetTable:
    """A Parquet file that is open.

    columns: their names
    """

    def __init__(self, file: OpenFile, table: Any) -> None:
        self._file, self._table = file, table
        self.columns = tuple(str(name) for name in table.schema_arrow.names)
        self._read = 0

    @property
    def share_read(self) -> float:
        """How much of its rows was read, 0 to 1."""
        rows = self._table.metadata.num_rows
        return self._read / rows if rows else 1.0

    def rows(self, columns: Collection[str] | None = None) -> Iterator[DataRow]:
        """The rows as Python values, those of a row group decoded batch by batch.

        columns: those that are read; None: all
        A row with a value that Python does not have has a fault, and its other values.
        Raises DataFileError.
        """
        names = [name for name in self.columns if columns is None or name in columns]
        batches = self._table.iter_batches(_BATCH_ROWS, columns=names, use_threads=False)
        while True:
            with _told(self._file):
                batch = next(batches, None)
            if batch is None:
                return
            # A name with a dot may have brought the struct along that has such a member.
            held = [_values(batch.column(name)) for name in names]
            for row in zip(*held, strict=True):
                self._read += 1
                yield _row(self._read, dict(zip(names, row, strict=True)))


@dataclass(frozen=True, slots=True)
class _NoValue:
    """In the place of a value that can't be read; why: what goes on from the column's name."""

    why: str


def _values(column: Any) -> list[Any]:
    """The values of a column; only those that can't be read are none."""
    from streamproc.offline.documents.arrow_values import (  # noqa: PLC0415
        UNREADABLE,
        python_values,
    )

    try:
        return python_values(column)
    except UNREADABLE as error:
        if len(column) == 1:
            return [_NoValue(f"has a value that can't be read as {column.type}: {error}")]
    return [value for row in range(len(column)) for value in _values(column.slice(row, 1))]


def _row(number: int, found: Mapping[str, object]) -> DataRow:
    values = {name: one for name, one in found.items() if not isinstance(one, _NoValue)}
    faults = [
        f"line {number}: column {name!r} {one.why}"
        for name, one in found.items()
        if isinstance(one, _NoValue)
    ]
    return DataRow(number, number, values, fault=faults[0] if faults else "")


@contextmanager
def open_parquet(file: OpenFile) -> Iterator[ParquetTable]:
    """A Parquet file; raises DataFileError, and SettingsError where pyarrow is not installed."""
    try:
        from pyarrow import parquet  # noqa: PLC0415  # of the documents extra, and of others
    except ModuleNotFoundError as missing:
        raise SettingsError(needs_extra(file.name, missing)) from None
    with _on_disk(file) as place:
        with _told(file):
            table = parquet.ParquetFile(place, buffer_size=_BUFFER_BYTES)
        with table:
            with _told(file):
                names = table.schema_arrow.names
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise DataFileError(f"{file.name}: two columns are called {twice[0]!r}")
            yield ParquetTable(file, table)


@contextmanager
def _told(file: OpenFile) -> Iterator[None]:
    from pyarrow import ArrowException  # noqa: PLC0415

    try:
        yield
    except (OSError, ArrowException, UnicodeDecodeError) as error:
        raise DataFileError(f"{file.name}: not readable as Parquet: {error}") from None


@contextmanager
def _on_disk(file: OpenFile) -> Iterator[Any]:
    """The file itself, or a copy of what a packed one or a pipe holds."""
    if file.path != STDIN and file.size_bytes is not None and not file.is_packed:
        from pyarrow import OSFile  # noqa: PLC0415

        with _told(file):
            # Of a path that is text, pyarrow takes only one that is UTF-8.
            itself = OSFile(os.fsencode(file.path))
        with itself:
            yield itself
        return
    with tempfile.TemporaryFile() as copy:
        size = 0
        while piece := file.read(1 << 20):
            size += len(piece)
            if size > MAX_UNPACKED_BYTES:
                raise DataFileError(
                    f"{file.name} has more than {MAX_UNPACKED_BYTES >> 30} GiB, unpacked: unpack it"
                )
            copy.write(piece)
        copy.seek(0)
        yield copy
