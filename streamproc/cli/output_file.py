"""Files that a command writes beside what it shows."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

from streamproc.errors import OperatorError, SettingsError


def require_libraries(*names: str, needed_by: str, extra: str) -> None:
    """Raise OperatorError where one is missing, before minutes are spent for what needs it.

    needed_by: as `--html and --plot need`
    """
    for name in names:
        if find_spec(name) is None:
            raise OperatorError(
                f'{needed_by} {name}, which is not installed: pip install "streamproc[{extra}]"'
            )


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


def write_json(path: Path, value: Any) -> None:
    """Write figures as JSON that people can read too; raises as `write_output`."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
    write_output(path, orjson.dumps(value, option=options))
