"""Files that a command writes beside what it shows."""

from __future__ import annotations

import os
from pathlib import Path

from streamproc.errors import SettingsError


def require_writable(*paths: Path | None) -> None:
    """Raise SettingsError where a file can't be written, before minutes are spent for it."""
    for path in filter(None, paths):
        folder = next(one for one in path.absolute().parents if os.path.lexists(one))
        if path.is_dir():
            raise SettingsError(f"can't write {path}: it is a folder")
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise SettingsError(f"can't write {path}: {folder} is no folder to write to")


def write_output(path: Path, content: bytes) -> None:
    """Write a file, and the folders above it; raises SettingsError when that can't be done."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise SettingsError(f"can't write {path}: {error.strerror}") from None
