"""Where values lie in a JSON text, so that they are handed on, or put in, byte for byte.

A value that is parsed and written again is another one: integers beyond 64 bits, 1.10, -0, 1e400,
duplicate keys and escapes change on the way. Everything here is a regular expression without
backtracking, so it takes time in proportion to the text, whatever the text holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

import orjson

# A request's own bound, and one level more for the CloudEvent that it may be wrapped in.
MAX_DEPTH: Final = 65

_SPACE: Final = rb"[ \t\r\n]*+"
_STRING: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_NUMBER: Final = rb"(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"
_BREAKS_TO_BLANKS: Final = bytes.maketrans(b"\r\n", b"  ")
_SHORT_ESCAPES: Final = {
    '"': '"', "\\": "\\", "/": "/", "\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t",
}  # fmt: skip


def member_span(text: bytes, *path: str) -> slice | None:
    """Where the value lies that is reached by members of these names, from the outermost object in.

    text: JSON that a parser took, or would take but for numbers that are too large for it
    Of several members of one name it is the last, as it is for parsers. None where there is none,
    where something on the way is no object, or where the text is nested deeper than MAX_DEPTH.
    """
    at = 0
    for name in path:
        found = _last_member(name).match(text, at)
        if found is None or found.start(1) < 0:
            return None
        at = found.start(1)
    value = _value().match(text, at)
    return None if value is None else slice(value.start(1), value.end(1))


def with_members(text: bytes, members: Mapping[str, bytes]) -> bytes:
    """An object's JSON text with members set to values, JSON texts too; all else as it is.

    text: an object that a parser took; one that is nested deeper than MAX_DEPTH may end up with
          two members of a name, of which parsers take the last, which is the one that was set
    """
    for name, value in members.items():
        span = member_span(text, name)
        if span is not None:
            text = b"".join((text[: span.start], value, text[span.stop :]))
        else:
            end = text.rindex(b"}")
            comma = b"" if _no_member().fullmatch(text, 0, end) else b","
            text = b"".join((text[:end], comma, orjson.dumps(name), b":", value, text[end:]))
    return text


def with_plain_numbers(text: bytes, paths: Sequence[Sequence[str]]) -> bytes:
    """A JSON text with every number in the values at `paths` made 0e0, which any parser takes.

    What was no JSON does not become any by it: 0e0 fits only where the number did.
    """
    for path in paths:
        span = member_span(text, *path)
        if span is not None:
            plain = _numbers().sub(_plain_number, text[span])
            text = b"".join((text[: span.start], plain, text[span.stop :]))
    return text


def on_one_line(text: bytes) -> bytes:
    """A JSON text for a line of JSON Lines: a line break in it can only be white space."""
    return text.translate(_BREAKS_TO_BLANKS)


def _plain_number(found: re.Match[bytes]) -> bytes:
    return found[0] if found[0].startswith(b'"') else b"0e0"


@cache
def _numbers() -> re.Pattern[bytes]:
    # Strings are matched to be passed over. A sign stays outside, or "--1" would become "-0e0".
    return re.compile(_STRING + rb"|" + _NUMBER, re.DOTALL)


@cache
def _no_member() -> re.Pattern[bytes]:
    return re.compile(_SPACE + rb"\{" + _SPACE)


@cache
def _value() -> re.Pattern[bytes]:
    return re.compile(_SPACE + rb"(" + _any_value() + rb")", re.DOTALL)


@cache
def _last_member(name: str) -> re.Pattern[bytes]:
    """A whole object; group 1 begins where the value of the last member of that name does."""
    colon = _SPACE + rb":" + _SPACE
    key = rb"(?:" + _spelt(name) + colon + rb"()|" + _STRING + colon + rb")"
    member = key + _any_value() + _SPACE + rb",?+" + _SPACE
    return re.compile(_SPACE + rb"\{" + _SPACE + rb"(?:" + member + rb")*+\}", re.DOTALL)


@cache
def _any_value() -> bytes:
    """A pattern for one value, in a text whose brackets are known to match."""
    nested = rb"(?!)"
    for _ in range(MAX_DEPTH):
        inner = rb"(?:(?:" + _STRING + rb"|" + nested + rb')[^"\[\]{}]*+)*+'
        nested = rb'[\[{][^"\[\]{}]*+' + inner + rb"[\]}]"
    return rb"(?:" + _STRING + rb"|" + nested + rb'|[^\s"\[\]{},:]++)'


def _spelt(name: str) -> bytes:
    """A pattern for a key in every spelling: each character may be written as an escape."""
    return rb'"' + b"".join(map(_spelt_character, name)) + rb'"'


def _spelt_character(character: str) -> bytes:
    units = character.encode("utf-16-be").hex()
    escaped = "".join(rf"\\u(?i:{units[at : at + 4]})" for at in range(0, len(units), 4))
    ways = [escaped.encode()]
    if character in _SHORT_ESCAPES:
        ways.append(rb"\\" + re.escape(_SHORT_ESCAPES[character].encode()))
    if character not in '"\\':
        ways.append(re.escape(character.encode()))
    return rb"(?:" + rb"|".join(ways) + rb")"
