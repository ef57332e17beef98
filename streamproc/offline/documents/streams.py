"""A file that is open: its bytes, unpacked, and how many of them were read."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from streamproc.errors import DataFileError
from streamproc.offline.documents.packing import PACKED_SUFFIXES, BrokenPacking, unpacked_reader

STDIN = Path("-")
# How many bytes tell a format, and how those begin whose format has to be told by them.
_TOLD_BYTES = 8
_MAY_BE_BINARY = (b"PK", b"PA", b"%P", b"\x28\xb5", b"P*", b"\xd0\xcf")
CHUNK_BYTES = 1 << 16


class Counted(io.RawIOBase):
    """Hands on another file's bytes, the first of which were read already, and counts them."""

    def __init__(self, head: bytes, rest: io.RawIOBase | io.BufferedReader) -> None:
        self._head, self._rest = head, rest
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        found = self._head[: len(buffer)]
        if found:
            self._head = self._head[len(found) :]
        else:
            # One read: a pipe's writer may wait for what is answered so far.
            found = _read_once(self._rest, len(buffer)) or b""
        buffer[: len(found)] = found
        self.count += len(found)
        return len(found)


def _read_once(file: io.RawIOBase | io.BufferedReader, size: int) -> bytes | None:
    return file.read1(size) if isinstance(file, io.BufferedReader) else file.read(size)


def shown(path: Path) -> str:
    """What a file is called in messages."""
    return "standard input" if path == STDIN else str(path)


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file that is open to be read.

    unpacked:   its bytes, unpacked where it is packed
    counted:    counts the bytes read of the file itself
    size_bytes: of the file itself; None where it has no known end
    """

    path: Path
    unpacked: io.BufferedReader
    counted: Counted
    size_bytes: int | None
    is_packed: bool = False

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return shown(self.path)

    @property
    def share_read(self) -> float | None:
        """How much of it was read, 0 to 1; None of a pipe, which has no known end.

        What a buffer holds counts as read.
        """
        if self.size_bytes is None:
            return None
        return min(1.0, self.counted.count / self.size_bytes) if self.size_bytes else 1.0

    def begin(self) -> bytes:
        """Its first bytes, as many as tell a format, which are still there to be read."""
        try:
            return self.unpacked.peek(_TOLD_BYTES)[:_TOLD_BYTES]
        except (OSError, BrokenPacking):  # told by whoever reads it
            return b""

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`; b"" at the end. Raises DataFileError."""
        try:
            return self.unpacked.read(size)
        except BrokenPacking as error:
            raise DataFileError(f"{self.name}: {error}") from None
        except OSError as error:
            raise DataFileError(f"can't read {self.name}: {error.strerror}") from None


@contextmanager
def opened(path: Path) -> Iterator[OpenFile]:
    """A file, unpacked where it is packed with gzip or zstd; "-" is standard input.

    Raises DataFileError when it can't be opened, SettingsError where an extra is not installed.
    """
    name = shown(path)
    with ExitStack() as stack:
        try:
            # Without a buffer, as that of sys.stdin has: it is locked while a thread reads from a
            # pipe that has nothing, and neither closed nor left behind before there is something.
            file = 0 if path == STDIN else path
            raw = stack.enter_context(open(file, "rb", buffering=0, closefd=path != STDIN))
            about = os.fstat(raw.fileno())
            head = _head(raw)
        except IsADirectoryError:
            raise DataFileError(f"can't read {name}: it is a folder; name a file") from None
        except OSError as error:
            raise DataFileError(f"can't read {name}: {error.strerror}") from None
        counted = Counted(head, raw)
        plain: io.BufferedReader = io.BufferedReader(counted, CHUNK_BYTES)
        unpacked = unpacked_reader(plain, head, name)
        kind = PACKED_SUFFIXES.get(path.suffix.lower())
        if unpacked is None and kind is not None:
            raise DataFileError(f"{name} is not {kind}, as its name says")
        size_bytes = about.st_size if stat.S_ISREG(about.st_mode) else None
        yield OpenFile(path, unpacked or plain, counted, size_bytes, unpacked is not None)


def _head(raw: io.RawIOBase) -> bytes:
    """The first bytes: two, and more where these may begin what is no text.

    The first line of a pipe may be as short, and its writer wait for the answer.
    """
    head = (raw.read(1) or b"") + (raw.read(1) or b"")
    if head in _MAY_BE_BINARY:
        while len(head) < _TOLD_BYTES and (more := raw.read(_TOLD_BYTES - len(head))):
            head += more
    return head
