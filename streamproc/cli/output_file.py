"""Files that a command writes beside what it shows."""

from __future__ import annotations

from pathlib import Path

from streamproc.errors import SettingsError


def write_output(path: Path, content: bytes) -> None:
    """Write a file, and the folders above it; raises SettingsError when that can't be done."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise SettingsError(f"can't write {path}: {error.strerror}") from None
