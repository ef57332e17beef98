"""Files that are what the manifest says they are."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

from streamproc.errors import ModelRefused
from streamproc.repository.regular_files import open_regular, read_regular

MAX_FILE_BYTES: Final = 2**31
"""Of a file that is read into memory; no ONNX file can be larger."""


def verified(folder: Path, name: str, sha256: str) -> bytes:
    """The content of a file inside a folder; raises ModelRefused."""
    path = inside(folder, name)
    try:
        content = read_regular(path, MAX_FILE_BYTES)
    except OSError as error:
        raise _unreadable(path, error) from None
    _require(path, hashlib.sha256(content).hexdigest(), sha256)
    return content


def verify_in_place(folder: Path, name: str, sha256: str, size_bytes: int | None = None) -> Path:
    """The path of a file that is read without being held in memory; raises ModelRefused.

    size_bytes: as the manifest says it, if it does; of another size nothing is read
    """
    path = inside(folder, name)
    try:
        with open_regular(path) as file:
            _require_size(path, os.fstat(file.fileno()).st_size, size_bytes)
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from None
    _require(path, found, sha256)
    return path


def inside(folder: Path, name: str) -> Path:
    """Where a file lies, links followed; raises ModelRefused where that is outside the folder."""
    # Unlike Path.resolve, this raises nothing of a link to itself; opening it will.
    path = Path(os.path.realpath(folder / name))
    if not path.is_relative_to(os.path.realpath(folder)):
        raise ModelRefused(f"{folder / name} leads out of its folder")
    return path


def _unreadable(path: Path, error: OSError) -> ModelRefused:
    return ModelRefused(f"{path}: {error.strerror}; the manifest names it")


def _require_size(path: Path, found: int, size_bytes: int | None) -> None:
    if size_bytes is not None and found != size_bytes:
        raise ModelRefused(
            f"{path} is not the file the manifest names: it has {found} bytes, expected "
            f"{size_bytes}; restore the file, or write the manifest again"
        )


def _require(path: Path, found: str, sha256: str) -> None:
    if found != sha256:
        raise ModelRefused(
            f"{path} is not the file the manifest names: its sha256 is {found}, "
            f"expected {sha256}; restore the file, or write the manifest again"
        )
