"""The answers so far, a line each in a file that only grows: what an interrupted run leaves.

    {"row":17,"of":"9f86d081884c7d659a2feaa0c55ad015","answer":{...}}

row: the row's number in the input, from 1; of: a digest of what was asked; answer: as it will be
in the output. Where an error was asked again, "instead" says at which byte the line begins that no
longer counts.

A line is on its way to the disk with one write, so that a process that is killed loses none that it
has written; what a machine that goes down has cut off or filled with zeros is no line, and is left
out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

import orjson

from streamproc.errors import OperatorError, SettingsError
from streamproc.messages.strict_json import parse

_LINE = re.compile(
    rb'\{"row":(\d{1,18}),"of":"([0-9a-f]{32})",(?:"instead":(\d{1,18}),)?"answer":(\{.*\})\}\n',
    re.DOTALL,
)
_BEGIN = b'{"row":'
_READ_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """place: where the line begins, in bytes; instead: of that one; answer: parsed"""

    place: int
    row: int
    of: bytes
    instead: int | None
    answer: dict[str, Any]


class Ledger:
    """A file of answers that one process at a time adds to; a context manager.

    size: of the lines in it, in bytes
    OSError is raised where the file can't be opened or written.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.size = path, 0
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """Raises SettingsError where another process has it, or the file is none of ours."""
        with ExitStack() as stack:
            self._file = stack.enter_context(_open_locked(self.path))
            self._read = stack.enter_context(self.path.open("rb", buffering=_READ_BYTES))
            self._require_ours()
            self.size = os.fstat(self._file.fileno()).st_size
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        with self._open, suppress(ValueError):
            os.fsync(self._file.fileno())

    def clear(self) -> None:
        """Forget all answers."""
        self._file.truncate(0)
        self.size = 0

    def lines(self) -> Iterator[LedgerLine]:
        """All lines; what was cut off at the end is removed from the file once they were read."""
        place = end = 0
        with self.path.open("rb") as file:
            for line in file:
                found = _parsed(line, place)
                if found is not None:
                    yield found
                    end = place + len(line)
                place += len(line)
        self._file.truncate(end)
        self.size = end

    def append(self, row: int, of: bytes, answer: bytes, instead: int | None = None) -> int:
        """Add an answer, a JSON object on one line; returns its line's place."""
        other = b"" if instead is None else b'"instead":%d,' % instead
        line = b'{"row":%d,"of":"%b",%b"answer":%b}\n' % (row, of, other, answer)
        place = self.size
        view = memoryview(line)
        while view:  # a disk that is nearly full takes a part
            view = view[self._file.write(view) :]
        self.size += len(line)
        return place

    def answer_at(self, place: int) -> bytes:
        """The answer whose line is there, as it was written."""
        self._read.seek(place)
        found = _LINE.fullmatch(self._read.readline())
        if found is None:
            raise OperatorError(f"{self.path} was changed while it was written")
        return found[4]

    def _require_ours(self) -> None:
        with self.path.open("rb") as file:  # not what reads later, which would keep a part of it
            first = file.readline()
        whole = first.endswith(b"\n")
        if _LINE.fullmatch(first) if whole else _begins_like_ours(first):
            return
        raise SettingsError(
            f"{self.path} is there, where answers are kept until all are there, and is none of "
            "streamproc's: move it"
        )


def _parsed(line: bytes, place: int) -> LedgerLine | None:
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    try:
        answer = parse(found[4])
    except orjson.JSONDecodeError:
        return None
    instead = None if found[3] is None else int(found[3])
    return LedgerLine(place, int(found[1]), found[2], instead, answer)


def _begins_like_ours(line: bytes) -> bool:
    """Whether what has no end may be the begin of a first line, or what a power failure made it."""
    written = line.rstrip(b"\0")
    return written.startswith(_BEGIN) or _BEGIN.startswith(written)


def _open_locked(path: Path) -> IO[bytes]:
    """Open a file to add to it, which no other process has open so; raises SettingsError."""
    while True:
        file = path.open("a+b", buffering=0)
        try:
            _lock(file, path)
            # Whoever had it may have removed it since it was opened here.
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def _lock(file: IO[bytes], path: Path) -> None:
    try:
        import fcntl  # noqa: PLC0415 - Windows has none
    except ModuleNotFoundError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SettingsError(f"{path} is being written by another run; wait for it") from None
