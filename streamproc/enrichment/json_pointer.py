"""JSON Pointers (RFC 6901), with `*` for every element of an array."""

from __future__ import annotations

import re
from typing import Final

Path = tuple[str, ...]
"""The tokens of a pointer; none is the whole document."""

EVERY: Final = "*"
INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")
"""A token that may be the place of an element in an array."""

_JSON_PATH: Final = re.compile(r"[.\[\]]+")
_WRONG_ESCAPE: Final = re.compile(r"~(?![01])")


def parse_pointer(pointer: str) -> Path:
    """The tokens of `/a/b`; raises ValueError saying what is wrong."""
    if pointer == "":
        return ()
    if not pointer.startswith("/"):
        meant = _as_pointer(pointer)
        raise ValueError(f"{pointer!r} is no JSON Pointer: it begins with '/', as in {meant!r}")
    if _WRONG_ESCAPE.search(pointer):
        raise ValueError(f"{pointer!r}: in a JSON Pointer '~' is written ~0, and '/' in a name ~1")
    tokens = pointer[1:].split("/")
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in tokens)


def _as_pointer(written: str) -> str:
    """What was probably meant by a path as JSONPath and jq write it, such as `$.lines[*].text`."""
    if "/" in written:
        return f"/{written}"
    return "/" + _JSON_PATH.sub("/", written.removeprefix("$")).strip("/")


def format_pointer(path: Path) -> str:
    """The pointer of these tokens."""
    return "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in path)


def single(path: Path) -> Path:
    """The same path; raises ValueError where it stands for several places."""
    if has_wildcard(path):
        raise ValueError("'*' can't say where one value is")
    return path


def has_wildcard(path: Path) -> bool:
    """Whether the pointer stands for several places."""
    return EVERY in path


def overlap(one: Path, other: Path) -> bool:
    """Whether one of two places may lie within the other, so that both can't be set."""
    shorter = min(len(one), len(other))
    pairs = zip(one[:shorter], other[:shorter], strict=True)
    return all(a == b or EVERY in (a, b) for a, b in pairs)
