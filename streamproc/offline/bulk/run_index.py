"""Which answer belongs to which row: an SQLite file beside the output, made anew by every run.

Memory holds a few pages of it, however many rows there are. It is worth nothing without the run
that made it, so it is written without journal and without waiting for the disk.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from streamproc.errors import OperatorError
from streamproc.offline.bulk.ledger import LedgerLine
from streamproc.offline.bulk.origin import Origin

_CACHE_KIB = 16_384
_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA cache_size = -{cache};
CREATE TABLE kept (of BLOB, row INTEGER, place INTEGER, status TEXT, PRIMARY KEY (of, row, place))
    WITHOUT ROWID;
CREATE TABLE answers (row INTEGER PRIMARY KEY, place INTEGER, id BLOB);
CREATE TABLE origins (row INTEGER PRIMARY KEY, file TEXT, number INTEGER, columns BLOB);
"""
_KEPT = "SELECT row, place, status FROM kept WHERE of = ?"
_ORDERED = """
SELECT answers.place, answers.id, origins.file, origins.number, origins.columns
FROM answers LEFT JOIN origins ON origins.row = answers.row
ORDER BY answers.row
"""


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer of a run before: the row it was given to, its place in the ledger, its status."""

    row: int
    place: int
    status: str


@dataclass(frozen=True, slots=True)
class IndexedAnswer:
    """A row's answer, as the output needs it.

    place:  in the ledger
    own_id: the row's, in JSON, where the answer may have another's
    origin: where the row is from, where that was noted
    """

    place: int
    own_id: bytes | None
    origin: Origin | None


class RunIndex:
    """The rows of a run and where their answers are; may be used by two threads.

    OperatorError is raised where the disk takes no more.
    """

    def __init__(self, path: Path) -> None:
        """path: of a file that nobody else uses; one that a killed process left is removed"""
        self._path, self._lock = path, Lock()
        path.unlink(missing_ok=True)
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._database.executescript(_SCHEMA.format(cache=_CACHE_KIB))
            # One transaction, which is never committed: pages are written when memory is full.
            self._database.execute("BEGIN")
        except sqlite3.Error as error:
            self._database.close()
            raise self._failure(error) from None
        finally:
            # As it is open, it stays until it is closed, and no kill leaves it behind.
            with suppress(OSError):
                path.unlink()

    def close(self) -> None:
        """Forget everything; who still reads gets an error."""
        with self._lock:  # not while a statement runs
            self._database.close()
        self._path.unlink(missing_ok=True)

    def keep(self, line: LedgerLine) -> None:
        """Note an answer of a run before."""
        status = line.answer.get("status", "error")
        if line.instead is not None:
            self._drop(line.of, line.row, line.instead)
        self._run("INSERT INTO kept VALUES (?, ?, ?, ?)", line.of, line.row, line.place, status)

    def claim(self, of: bytes, row: int) -> KeptAnswer | None:
        """Take an answer to what a row asks: its own, else that of a row that asked the same.

        Each is taken once, so that rows that moved find theirs, and equal rows have one each.
        """
        # Two steps, as of a million equal rows each must not look at all others.
        found = self._run(f"{_KEPT} AND row = ? LIMIT 1", of, row)
        found = found or self._run(f"{_KEPT} LIMIT 1", of)
        if not found:
            return None
        kept = KeptAnswer(*found[0])
        self._drop(of, kept.row, kept.place)
        return kept

    def originates(self, row: int, origin: Origin) -> None:
        """Note where a row is from."""
        values = row, origin.file, origin.row, origin.columns
        self._run("INSERT OR REPLACE INTO origins VALUES (?, ?, ?, ?)", *values)

    def answered(self, row: int, place: int, own_id: bytes | None = None) -> None:
        """Note where a row's answer is; own_id: in JSON, where the answer has another's."""
        self._run("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", row, place, own_id)

    def ordered(self) -> Iterator[IndexedAnswer]:
        """All answers, in the order of their rows."""
        try:
            for place, own_id, file, number, columns in self._database.execute(_ORDERED):
                origin = None if file is None else Origin(file, number, columns)
                yield IndexedAnswer(place, own_id, origin)
        except sqlite3.Error as error:
            raise self._failure(error) from None

    def _drop(self, of: bytes, row: int, place: int) -> None:
        self._run("DELETE FROM kept WHERE of = ? AND row = ? AND place = ?", of, row, place)

    def _run(self, statement: str, *values: Any) -> list[Any]:
        try:
            with self._lock:
                return self._database.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._failure(error) from None

    def _failure(self, error: sqlite3.Error) -> OperatorError:
        return OperatorError(f"can't write {self._path}: {error}")
