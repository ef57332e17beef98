"""Reading TOML that anybody may have written, and writing it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import re2
import tomli_w

from streamproc.errors import ModelRefused
from streamproc.repository.regular_files import read_regular

MAX_TOML_BYTES: Final = 4 * 2**20
"""Of a file that is read; a manifest of a hundred members has some hundred thousand."""

MAX_DEPTH: Final = 32
"""Of tables and lists within each other, and parts of a dotted key."""

# tomllib takes time that grows with the square of a key's parts.
_LONG_KEY = re2.compile(
    rf"""(?:(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){{{MAX_DEPTH}}}"""
)

TomlValue = str | int | float | Sequence["TomlValue"] | Mapping[str, "TomlValue"]


def to_toml(values: Mapping[str, Any]) -> str:
    """The values as TOML; a lone surrogate, which TOML has no form for, becomes "?"."""
    return tomli_w.dumps(values).encode("utf-8", "replace").decode()


def read_toml(path: Path) -> dict[str, Any]:
    """What a TOML file says; raises OSError, ModelRefused."""
    return from_toml(read_regular(path, MAX_TOML_BYTES), str(path))


def from_toml(content: bytes, where: str) -> dict[str, Any]:
    """What TOML says; raises ModelRefused, as for what is nested too deeply to be worked with."""
    try:
        text = content.decode()
        if _LONG_KEY.search(text):
            raise ModelRefused(f"{where}: a key has more than {MAX_DEPTH} parts")
        values = tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelRefused(f"{where}: not TOML: {error}") from None
    except RecursionError:
        raise _too_deep(where) from None
    level: list[object] = [values]
    for _ in range(MAX_DEPTH):
        level = [inner for value in level for inner in _within(value)]
    if level:
        raise _too_deep(where)
    return values


def _within(value: object) -> Sequence[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else ()


def _too_deep(where: str) -> ModelRefused:
    return ModelRefused(f"{where}: nested more than {MAX_DEPTH} deep")
