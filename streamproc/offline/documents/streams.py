"""The bytes of a file, unpacked, in UTF-8, with their positions known."""

from __future__ import annotations

import codecs
import gzip
import io
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from streamproc.errors import DataFileError, SettingsError

STDIN = Path("-")
GZIP = b"\x1f\x8b"
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


@contextmanager
def opened(
    path: Path, encoding: str | None
) -> Iterator[tuple[io.BufferedReader, Counted, int | None]]:
    """A file's bytes in UTF-8, unpacked where they are gzipped; "-" is standard input.

    encoding: of its text; None: UTF-8, which is not checked here
    yields: the bytes; what counts those read of the file itself; how many that has, where known
    Raises DataFileError when it can't be opened, SettingsError when there is no such encoding.
    """
    if encoding is not None:
        _require_encoding(encoding)
    name = shown(path)
    with ExitStack() as stack:
        try:
            # Without a buffer, as that of sys.stdin has: it is locked while a thread reads from a
            # pipe that has nothing, and neither closed nor left behind before there is something.
            file = 0 if path == STDIN else path
            raw = stack.enter_context(open(file, "rb", buffering=0, closefd=path != STDIN))
            about = os.fstat(raw.fileno())
            head = raw.read(1) + raw.read(1)
        except IsADirectoryError:
            raise DataFileError(f"can't read {name}: it is a folder; name a file") from None
        except OSError as error:
            raise DataFileError(f"can't read {name}: {error.strerror}") from None
        counted = Counted(head, raw)
        unpacked: io.BufferedReader = io.BufferedReader(counted, _CHUNK_BYTES)
        if head == GZIP:
            unpacked = io.BufferedReader(gzip.GzipFile(fileobj=unpacked), _CHUNK_BYTES)
        elif path.suffix.lower() == ".gz":
            raise DataFileError(f"{name} is not gzip, as its name says")
        if encoding is not None:
            unpacked = io.BufferedReader(Transcoded(unpacked, encoding, name), _CHUNK_BYTES)
        yield unpacked, counted, about.st_size if stat.S_ISREG(about.st_mode) else None


def _require_encoding(encoding: str) -> None:
    try:
        # Not of nothing: for that no codec is looked up.
        b" ".decode(encoding)
    except UnicodeDecodeError:
        pass
    except (LookupError, ValueError):
        raise SettingsError(
            f"there is no encoding {encoding!r}; latin-1, cp1252 and utf-16 are some that there are"
        ) from None
