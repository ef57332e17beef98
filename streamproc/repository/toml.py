"""Writing TOML, which Python's standard library only reads."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

TomlValue = str | int | float | Sequence["TomlValue"] | Mapping[str, "TomlValue"]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def section(title: str, values: Mapping[str, TomlValue]) -> str:
    """A table under its title ("[window]", "[[members]]", or "" at the top), a line a key."""
    lines = [title] if title else []
    lines += [_pair(key, value) for key, value in values.items()]
    return "\n".join(lines) + "\n"


def _pair(key: str, value: TomlValue) -> str:
    return f"{key if _BARE_KEY.fullmatch(key) else _text(key)} = {_written(value)}"


def _written(value: TomlValue) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return f"{{ {', '.join(_pair(key, own) for key, own in value.items())} }}"
    return f"[{', '.join(map(_written, value))}]"


def _text(value: str) -> str:
    # A JSON string is a TOML string, but for DEL, which TOML wants escaped, and lone surrogates,
    # which it has no form for.
    readable = value.encode("utf-8", "replace").decode("utf-8")
    return json.dumps(readable, ensure_ascii=False).replace("\x7f", "\\u007f")
