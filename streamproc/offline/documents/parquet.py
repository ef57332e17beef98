"""Rows of Parquet, a batch in memory at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

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

    def rows(self) -> Iterator[DataRow]:
        """The rows as Python values, those of a row group decoded batch by batch.

        Raises DataFileError.
        """
        with _told(self._file):
            for batch in self._table.iter_batches(_BATCH_ROWS, use_threads=False):
                for values in batch.to_pylist():
                    self._read += 1
                    yield DataRow(self._read, self._read, values)


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
    except (OSError, ArrowException) as error:
        raise DataFileError(f"{file.name}: not readable as Parquet: {error}") from None


@contextmanager
def _on_disk(file: OpenFile) -> Iterator[Path | IO[bytes]]:
    """The file itself, or a copy of what a packed one or a pipe holds."""
    if file.path != STDIN and file.size_bytes is not None and not file.is_packed:
        yield file.path
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
