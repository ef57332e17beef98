"""Sequences kept on disk, so that a corpus larger than memory can be learned from.

Their files have no name and go with the process; they lie where temporary files do (TMPDIR).
"""

from __future__ import annotations

import os
import pickle
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from streamproc.types import Int64Array

RecordT = TypeVar("RecordT")


class ByteRows:
    """Rows of bytes that are added at the end and read anywhere; 8 bytes a row are in memory."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  # goes with the object
        self._ends = array("q", [0])
        self._written = True

    def __len__(self) -> int:
        return len(self._ends) - 1

    @property
    def size_bytes(self) -> int:
        return self._ends[-1]

    def append(self, row: bytes) -> None:
        self._file.write(row)
        self._ends.append(self._ends[-1] + len(row))
        self._written = False

    def __getitem__(self, index: int) -> bytes:
        if not self._written:
            self._file.flush()
            self._written = True
        start, end = self._ends[index], self._ends[index + 1]
        return os.pread(self._file.fileno(), end - start, start)

    def sizes(self) -> NDArray[np.int64]:
        """(rows,) the bytes of each."""
        ends = np.array(self._ends, dtype=np.int64)
        return ends[1:] - ends[:-1]


class Records(Sequence[RecordT], Generic[RecordT]):
    """Records of any kind."""

    def __init__(self, records: Iterable[RecordT]) -> None:
        self._rows = ByteRows()
        for record in records:
            self._rows.append(pickle.dumps(record, pickle.HIGHEST_PROTOCOL))

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[RecordT]:
        return (self._record(index) for index in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> RecordT: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[RecordT]: ...
    def __getitem__(self, index: int | slice) -> RecordT | Sequence[RecordT]:
        places = range(len(self))[index]
        if isinstance(places, range):
            return [self._record(place) for place in places]
        return self._record(places)

    def _record(self, index: int) -> RecordT:
        record: RecordT = pickle.loads(self._rows[index])  # noqa: S301  # written above
        return record


class TokenRows:
    """Rows of token ids, or of other whole numbers that fit 32 bits."""

    def __init__(self, rows: Iterable[Sequence[int] | NDArray[Any]] = ()) -> None:
        self._rows = ByteRows()
        for row in rows:
            self.append(row)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Int64Array]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Int64Array:
        return np.frombuffer(self._rows[index], dtype=np.int32).astype(np.int64)

    def append(self, row: Sequence[int] | NDArray[Any]) -> None:
        self._rows.append(np.asarray(row, dtype=np.int32).tobytes())

    def lengths(self) -> Int64Array:
        """(rows,) how many numbers each has."""
        return self._rows.sizes() // 4
