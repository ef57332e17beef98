"""Files that are packed with gzip or zstd."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable

from streamproc.errors import SettingsError
from streamproc.offline.documents.extras import needs_extra
from streamproc.offline.documents.signatures import GZIP, ZSTD, ZSTD_SKIPPABLE

PACKED_SUFFIXES = {".gz": "gzip", ".zst": "zstd"}
_BUFFER_BYTES = 1 << 16


class BrokenPacking(Exception):
    """What was packed can't be unpacked any further."""


class Unpacked(io.RawIOBase):
    """Another file's bytes, unpacked; raises BrokenPacking."""

    def __init__(
        self, read: Callable[[int], bytes], kind: str, errors: tuple[type[Exception], ...]
    ) -> None:
        """read: gives so many unpacked bytes at most; errors: what it raises"""
        self._read, self._kind, self._errors = read, kind, errors

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            found = self._read(len(buffer))
        except self._errors as error:
            raise BrokenPacking(f"broken {self._kind}: {error}") from None
        buffer[: len(found)] = found
        return len(found)


def unpacked_reader(packed: io.BufferedReader, head: bytes, name: str) -> io.BufferedReader | None:
    """What is packed, as its first bytes say; None where it is not packed.

    name: of the file, in messages
    Raises SettingsError where an extra is not installed.
    """
    if head.startswith(GZIP):
        broken = (gzip.BadGzipFile, EOFError, zlib.error)
        read = gzip.GzipFile(fileobj=packed).read
        return io.BufferedReader(Unpacked(read, "gzip", broken), _BUFFER_BYTES)
    if not head.startswith((ZSTD, ZSTD_SKIPPABLE)):
        return None
    try:
        import pyarrow  # noqa: PLC0415  # of the documents extra, and of others
    except ModuleNotFoundError as missing:
        raise SettingsError(needs_extra(name, missing)) from None
    # zstandard takes the end of a file that was cut off for its end.
    stream = pyarrow.CompressedInputStream(pyarrow.PythonFile(packed, mode="r"), "zstd")
    return io.BufferedReader(Unpacked(stream.read, "zstd", (OSError,)), _BUFFER_BYTES)
