"""The bytes of a file, unpacked, in UTF-8, with their positions known."""

from __future__ import annotations

import codecs
import gzip
import io
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamproc.errors import DataFileError, SettingsError

STDIN = Path("-")
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
PACKED_SUFFIXES = {".gz": "gzip", ".zst": "zstd"}
# How many bytes tell a format, and how those begin whose format has to be told by them.
_TOLD_BYTES = 8
_MAY_BE_BINARY = (b"PK", b"PA", b"%P", b"\x28\xb5", b"\xd0\xcf")
_CHUNK_BYTES = 1 << 16


class Counted(io.RawIOBase):
    """Hands on another file's bytes, the first of which were read already, and counts them."""

    def __init__(self, head: bytes, rest: io.RawIOBase) -> None:
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
            found = self._rest.read(len(buffer)) or b""
        buffer[: len(found)] = found
        self.count += len(found)
        return len(found)


class BrokenPacking(Exception):
    """What was packed can't be unpacked any further."""


class Unpacked(io.RawIOBase):
    """Another file's bytes, unpacked; raises BrokenPacking."""

    def __init__(self, packed: Any, kind: str, errors: tuple[type[Exception], ...]) -> None:
        """packed: with a `read` that unpacks; errors: what that raises"""
        self._packed, self._kind, self._errors = packed, kind, errors

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            found = self._packed.read(len(buffer))
        except self._errors as error:
            raise BrokenPacking(f"broken {self._kind}: {error}") from None
        buffer[: len(found)] = found
        return len(found)


class Transcoded(io.RawIOBase):
    """Another file's text as UTF-8; raises DataFileError where it is not in `encoding`."""

    def __init__(self, rest: io.BufferedReader, encoding: str, name: str) -> None:
        self._rest, self._encoding, self._name = rest, encoding, name
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._ready = b""
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._ready:
            found = self._rest.read1(_CHUNK_BYTES)
            self._count += len(found)
            try:
                self._ready = self._decoder.decode(found, not found).encode()
            except UnicodeError as error:
                at = f" at byte {self._at(error)}" if isinstance(error, UnicodeDecodeError) else ""
                raise DataFileError(f"{self._name} is not {self._encoding}{at}: {error}") from None
            if not found:
                break
        given, self._ready = self._ready[: len(buffer)], self._ready[len(buffer) :]
        buffer[: len(given)] = given
        return len(given)

    def _at(self, error: UnicodeDecodeError) -> int:
        # What the decoder was given begins with what it had kept of the chunk before.
        return self._count - len(error.object) + error.start


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

    def in_utf8(self, encoding: str | None) -> io.BufferedReader:
        """Its bytes, from `encoding` to UTF-8; None: they are that already, which is not checked.

        Raises SettingsError where there is no such encoding.
        """
        if encoding is None:
            return self.unpacked
        require_encoding(encoding)
        return io.BufferedReader(Transcoded(self.unpacked, encoding, self.name), _CHUNK_BYTES)


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
        plain: io.BufferedReader = io.BufferedReader(counted, _CHUNK_BYTES)
        unpacked = _unpacked(plain, head, name)
        kind = PACKED_SUFFIXES.get(path.suffix.lower())
        if unpacked is None and kind is not None:
            raise DataFileError(f"{name} is not {kind}, as its name says")
        size_bytes = about.st_size if stat.S_ISREG(about.st_mode) else None
        yield OpenFile(path, unpacked or plain, counted, size_bytes, unpacked is not None)


def _unpacked(packed: io.BufferedReader, head: bytes, name: str) -> io.BufferedReader | None:
    """What is packed, as it begins; None where it is not packed."""
    if head.startswith(GZIP):
        # It may be taken to have ended before, and be read to its end then.
        broken = (gzip.BadGzipFile, EOFError, zlib.error)
        gzipped = io.BufferedReader(gzip.GzipFile(fileobj=packed), _CHUNK_BYTES)
        return io.BufferedReader(Unpacked(gzipped, "gzip", broken), _CHUNK_BYTES)
    if not head.startswith(ZSTD):
        return None
    try:
        import pyarrow  # noqa: PLC0415  # of the documents extra, and of others
    except ModuleNotFoundError:
        raise SettingsError(
            f"unpacking {name} needs pyarrow, which is not installed: pip install "
            '"streamproc[documents]"'
        ) from None
    # zstandard takes the end of a file that was cut off for its end.
    stream = pyarrow.CompressedInputStream(pyarrow.PythonFile(packed, mode="r"), "zstd")
    return io.BufferedReader(Unpacked(stream, "zstd", (OSError,)), _CHUNK_BYTES)


def _head(raw: io.RawIOBase) -> bytes:
    """The first bytes: two, and more where these may begin what is no text.

    The first line of a pipe may be as short, and its writer wait for the answer.
    """
    head = (raw.read(1) or b"") + (raw.read(1) or b"")
    if head in _MAY_BE_BINARY:
        while len(head) < _TOLD_BYTES and (more := raw.read(_TOLD_BYTES - len(head))):
            head += more
    return head


def require_encoding(encoding: str) -> None:
    """Raise SettingsError where there is no such encoding."""
    try:
        # Not of nothing: for that no codec is looked up.
        b" ".decode(encoding)
    except UnicodeDecodeError:
        pass
    except (LookupError, ValueError):
        raise SettingsError(
            f"there is no encoding {encoding!r}; latin-1, cp1252 and utf-16 are some that there are"
        ) from None
