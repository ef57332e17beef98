"""Where values lie in a JSON text, so that they are handed on, or replaced, byte for byte.

A value that is parsed and written again is another one: integers beyond 64 bits, 1.10, -0, 1e400,
duplicate keys and escapes change on the way. orjson does not say where a value lies; the standard
library's decoder does, so it is asked wherever the bytes of a value are needed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from json.decoder import JSONDecoder
from typing import Final

import orjson

# Only positions are wanted: integers may have more digits than int() takes, and orjson has decided,
# or will, whether the text is JSON.
_DECODER: Final = JSONDecoder(parse_int=float, strict=False)
_SPACE: Final = re.compile(r"[ \t\r\n]*+")
_COLON: Final = re.compile(r"[ \t\r\n]*+:[ \t\r\n]*+")
# A member as most are: its name has no escapes, and its value, up to the comma or brace behind it,
# is a string, a number, true, false or null. Asking the decoder takes ten times as long.
_PLAIN_MEMBER: Final = re.compile(
    r'[ \t\r\n]*+"([^"\\]*+)"[ \t\r\n]*+:[ \t\r\n]*+'
    r'("[^"\\]*+(?:\\.[^"\\]*+)*+"|-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?+[0-9]++)?+'
    r"|true|false|null)[ \t\r\n]*+(?=[,}])"
)
# Strings are matched to be skipped. A sign stays outside, or "--1" would become "-0e0".
_STRING_OR_NUMBER: Final = re.compile(
    rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?', re.DOTALL
)
Span = tuple[int, int]
"""Start and end of a value in a text."""
_BREAKS_TO_BLANKS: Final = bytes.maketrans(b"\r\n", b"  ")


def member_spans(text: str, at: int) -> dict[str, Span]:
    """Where each member's value lies in the object at `at`, of one name the last."""
    return dict(all_member_spans(text, at))


def all_member_spans(text: str, at: int) -> list[tuple[str, Span]]:
    """Each member's name and where its value lies, also of those of one name; raises ValueError."""
    found: list[tuple[str, Span]] = []
    before = "{"
    while text[at : at + 1] == before:
        plain = _PLAIN_MEMBER.match(text, at + 1)
        if plain is not None:
            found.append((plain[1], plain.span(2)))
            at, before = plain.end(), ","
            continue
        at = _after(_SPACE, text, at + 1)
        if text[at : at + 1] != '"':
            break
        name, at = _DECODER.raw_decode(text, at)
        start = _after(_COLON, text, at)
        end = value_end(text, start)
        found.append((name, (start, end)))
        at, before = _after(_SPACE, text, end), ","
    return found


def element_spans(text: str, at: int) -> list[Span]:
    """Where each element lies in the array at `at`; raises ValueError."""
    found: list[Span] = []
    before = "["
    while text[at : at + 1] == before:
        start = _after(_SPACE, text, at + 1)
        if text[start : start + 1] == "]":
            break
        end = value_end(text, start)
        found.append((start, end))
        at, before = _after(_SPACE, text, end), ","
    return found


def value_start(text: str) -> int:
    """Where the value of a JSON text begins."""
    return _after(_SPACE, text, 0)


def value_end(text: str, start: int) -> int:
    """Where the value that begins at `start` ends; raises ValueError."""
    end = int(_DECODER.raw_decode(text, start)[1])
    if text[end : end + 1].isdigit():
        # As in 00, of which the decoder takes the first digit for a value.
        raise ValueError(f"a value goes on in a digit at {end}")
    return end


def member_span(text: bytes, *path: str) -> slice | None:
    """Where the value lies that is reached by members of these names, from the outermost object in.

    text: JSON that a parser took, or would take but for numbers that are too large for it
    Of several members of one name the last counts, as it does for parsers. None where there is
    none, where the text is not JSON, or where it is nested deeper than the decoder recurses.
    """
    try:
        written = text.decode()
        start = value_start(written)
        end = len(written) if path else value_end(written, start)
        for name in path:
            start, end = member_spans(written, start)[name]
    except (ValueError, KeyError, RecursionError):
        return None
    start_byte = len(written[:start].encode())
    return slice(start_byte, start_byte + len(written[start:end].encode()))


def with_span(text: bytes, span: slice, value: bytes) -> bytes:
    """A JSON text with what lies at `span` replaced, all else as it is."""
    return b"".join((text[: span.start], value, text[span.stop :]))


def with_members(text: bytes, members: Mapping[str, bytes]) -> bytes:
    """An object's JSON text with members set to values, JSON texts too; all else as it is.

    text: an object that a parser took; one that is nested too deeply for `member_span` may end up
          with two members of a name, of which parsers take the last, which is the one that was set
    """
    for name, value in members.items():
        span = member_span(text, name)
        if span is not None:
            text = with_span(text, span, value)
        else:
            end = text.rindex(b"}")
            comma = b"" if text[:end].rstrip().endswith(b"{") else b","
            text = b"".join((text[:end], comma, orjson.dumps(name), b":", value, text[end:]))
    return text


def with_plain_numbers(text: bytes, paths: Sequence[Sequence[str]]) -> bytes:
    """A JSON text with every number in the values at `paths` made 0e0, which any parser takes.

    A text that is not JSON does not become JSON by it: 0e0 fits only where the number did.
    """
    for path in paths:
        span = member_span(text, *path)
        if span is not None:
            plain = _STRING_OR_NUMBER.sub(_plain_number, text[span])
            text = with_span(text, span, plain)
    return text


def on_one_line(text: bytes) -> bytes:
    """A JSON text for a line of JSON Lines: a line break in it can only be white space."""
    return text.translate(_BREAKS_TO_BLANKS)


def _plain_number(found: re.Match[bytes]) -> bytes:
    return found[0] if found[0].startswith(b'"') else b"0e0"


def _after(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    if match is None:
        raise ValueError(f"no {pattern.pattern!r} at {at}")
    return match.end()
