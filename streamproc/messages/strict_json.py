"""Bytes to JSON; what is not JSON, not an object, or nested too deeply is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from streamproc.errors import Unreadable
from streamproc.messages.json_spans import with_plain_numbers

MAX_DEPTH: Final = 64
# Metadata, of a plain request and of a structured CloudEvent.
_OPAQUE: Final = (("metadata",), ("data", "metadata"))
_JSON_NAMES: Final = {
    list: "array", str: "string", int: "number", float: "number", bool: "boolean",
    type(None): "null",
}  # fmt: skip


def parse(text: bytes, opaque: Sequence[Sequence[str]] = _OPAQUE) -> Any:
    """A JSON text's value; a number in the metadata of a request may be larger than any that fits.

    orjson is strict: no NaN, no wrong UTF-8, no lone surrogates.

    opaque: paths to values that are passed on as bytes; the empty path is the whole value
    Raises JSONDecodeError.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        try:
            return orjson.loads(with_plain_numbers(text, opaque))
        except orjson.JSONDecodeError:
            raise error from None


def decode_object(value: bytes | None) -> dict[str, Any]:
    """The JSON object in `value`, as `parse` reads it; raises Unreadable."""
    if value is None:
        raise Unreadable("tombstone", "the record has no value; send a JSON object")
    try:
        decoded = parse(value)
    except orjson.JSONDecodeError as error:
        raise Unreadable("not JSON", f"{error}; send a JSON object in UTF-8") from None
    if not isinstance(decoded, dict):
        found = _JSON_NAMES[type(decoded)]
        raise Unreadable("not an object", f"the record holds a JSON {found}; send a JSON object")
    return decoded


def refuse_depth(value: object, limit: int = MAX_DEPTH) -> None:
    """Raise Unreadable when `value` is nested more than `limit` levels deep.

    Walks level by level rather than by recursion, so that depth can't exhaust the stack.
    """
    level: list[object] = [value]
    for _ in range(limit):
        deeper: list[object] = []
        for item in level:
            if isinstance(item, dict):
                deeper.extend(item.values())
            elif isinstance(item, list):
                deeper.extend(item)
        if not deeper:
            return
        level = deeper
    raise Unreadable("nested too deeply", f"more than {limit} levels; send a flatter object")
