"""Writing TOML, which Python's standard library only reads."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date, time

TomlValue = str | int | float | date | time | Sequence["TomlValue"] | Mapping[str, "TomlValue"]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def section(title: str, values: Mapping[str, TomlValue]) -> str:
    """A table under its title ("[window]", "[[members]]", or "" at the top), a line a key."""
    lines = [title] if title else []
    lines += [_pair(key, value) for key, value in values.items()]
    return "\n".join(lines) + "\n"


def document(values: Mapping[str, TomlValue], above: str = "") -> str:
    """A whole file, as `tomllib` reads it back: what is no table first, then tables, each under its
    title.

    above: the title of the table that `values` are, with a dot behind it; none for the file
    """
    plain = {key: value for key, value in values.items() if not _tables(value)}
    parts = [section("", plain)] if plain else []
    for key, value in values.items():
        title = above + _key(key)
        for table in _tables(value):
            heading = f"[{title}]" if table is value else f"[[{title}]]"
            parts.append(f"{heading}\n{document(table, title + '.')}")
    return "\n".join(parts)


def _tables(value: TomlValue) -> Sequence[Mapping[str, TomlValue]]:
    if isinstance(value, Mapping):
        return [value]
    if isinstance(value, str) or not isinstance(value, Sequence):
        return []
    tables = [one for one in value if isinstance(one, Mapping)]
    return tables if len(tables) == len(value) else []


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _text(key)


def _pair(key: str, value: TomlValue) -> str:
    return f"{_key(key)} = {_written(value)}"


def _written(value: TomlValue) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return f"{{ {', '.join(_pair(key, own) for key, own in value.items())} }}"
    return f"[{', '.join(map(_written, value))}]"


def _text(value: str) -> str:
    # A JSON string is a TOML string, but for DEL, which TOML wants escaped, and lone surrogates,
    # which it has no form for.
    readable = value.encode("utf-8", "replace").decode("utf-8")
    return json.dumps(readable, ensure_ascii=False).replace("\x7f", "\\u007f")
