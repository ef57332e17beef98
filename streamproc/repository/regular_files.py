"""Opening files of a folder that may hold anything: a pipe would be waited for, a device obeyed."""

from __future__ import annotations

import io
import os
from pathlib import Path
from stat import S_ISBLK, S_ISCHR, S_ISDIR, S_ISFIFO, S_ISREG, S_ISSOCK

from streamproc.errors import ModelRefused

_KINDS = (
    (S_ISDIR, "a folder"),
    (S_ISFIFO, "a named pipe"),
    (S_ISSOCK, "a socket"),
    (S_ISCHR, "a device"),
    (S_ISBLK, "a device"),
)


def open_regular(path: Path, most_bytes: int | None = None) -> io.BufferedReader:
    """A regular file, opened to read; links are followed.

    Raises OSError, and ModelRefused for what is no regular file, or is larger than `most_bytes`.
    """
    _require_regular(path, path.stat().st_mode)
    # Whatever takes its place now is not waited for, and is looked at before it is read.
    file = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")  # noqa: SIM115, PTH123
    try:
        found = os.fstat(file.fileno())
        _require_regular(path, found.st_mode)
        _require_size(path, found.st_size, most_bytes)
    except BaseException:
        file.close()
        raise
    return file


def read_regular(path: Path, most_bytes: int) -> bytes:
    """All of a regular file; raises as `open_regular` does."""
    with open_regular(path, most_bytes) as file:
        return file.read(most_bytes)


def _require_regular(path: Path, mode: int) -> None:
    if not S_ISREG(mode):
        kind = next((kind for is_kind, kind in _KINDS if is_kind(mode)), "something else")
        raise ModelRefused(f"{path} is {kind}, where a regular file is expected; remove it")


def _require_size(path: Path, size_bytes: int, most_bytes: int | None) -> None:
    if most_bytes is not None and size_bytes > most_bytes:
        raise ModelRefused(f"{path} has {size_bytes} bytes, and may have {most_bytes} at most")
