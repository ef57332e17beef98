"""Files and folders that are there whole or not at all, and the digests they are known by."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def sha256(path: Path) -> str:
    """A file's SHA-256, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def atomic_write(path: Path, content: str, *, mode: int | None = None) -> None:
    """Write a text file, which is as it was until all of the new one is on the disk.

    mode: who may read it; None: whoever could before, and everybody where it is new
    """
    with atomic_file(path, mode) as unfinished, unfinished.open("w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def atomic_file(path: Path, mode: int | None = None) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its place unless the block raises."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    os.close(descriptor)
    unfinished = Path(name)
    try:
        yield unfinished
        # mkstemp lets nobody else read; whoever could read the old file can read the new one.
        if mode is None:
            mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        unfinished.chmod(mode)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def atomic_directory(folder: Path) -> Iterator[Path]:
    """A folder beside `folder` to write into, which takes its name unless the block raises.

    What an earlier process has left unfinished is removed. Raises OSError where there is a folder
    of that name with something in it.
    """
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        unfinished.replace(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
