"""Cutting a text into sentences, so that they and what stands between them are the text exactly.

By rules of punctuation, for any language that writes with it, and lists of what is shortened: no
model. In doubt they do not cut: two sentences together still translate, half of one does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from streamproc.serving.chunking.abbreviations import goes_on
from streamproc.serving.chunking.quotations import is_quoted, is_reported

# A line this long, in characters, was broken for want of room; a shorter one ends on purpose.
_FULL_LINE = 50

_BREAK = re.compile(r"\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]")
# What introduces an item of a list, a heading or a quotation.
_BULLET = re.compile(r"(?:[-*+•‣◦▪●·–—]|#{1,6}|>|\(?(?:\d{1,3}|[a-z])[.)]|\(?[A-Z]\))[ \t\u00a0]+")
_CLOSERS = r"[\"'”“’‘»«›)\]}」』）】〉》*_]*+(?:[ \u00a0\u202f][»›])?"
# Western full stops need a space after them, those of CJK do not. A run of marks, spaced ones
# included, is looked at once, from its beginning and without going back: a million full stops take
# no longer than other text, also where the text ends with them.
_SPACED = r"(?:[ \u00a0]\.++(?=\s|\Z))*+"
_END = re.compile(rf"(?<![.!?…‽؟۔।])[.!?…‽؟۔।]++{_SPACED}{_CLOSERS}(?=\s|\Z)|[。！？｡]++{_CLOSERS}")
_LAST_WORD = re.compile(r"[^\s\"'“‘«(\[]*$")
_ELLIPSIS = re.compile(r"…|\.[ \u00a0]?\.")
# Always a capital: no sign that a sentence begins.
_ALWAYS_A_CAPITAL = re.compile(r"I\b")
_OPENERS = "\"'“‘«‹(['¿¡„「『（【*_–—- \t\u00a0\u202f\r\n"
_LONGEST_WORD = 24
_PARENTHESIS = re.compile(r"[()（）\[\]]")
_CLOSED_BY = {"(": ")", "（": "）", "[": "]"}
# What is in parentheses for longer is no part of a sentence any more.
_LONGEST_PARENTHESIS = 400
_LOOKED_AHEAD = 24


class Sentence(NamedTuple):
    """A span of a text, in characters, without the whitespace around it."""

    start: int
    end: int


def sentences(text: str) -> Iterator[Sentence]:
    """The sentences of `text` in order, each found only when it is asked for.

    What lies between them is not to be translated and stands in the result as it is: whitespace,
    line ends, blank lines, bullets, and whatever has no letter, as a row of stars. A line end is
    inside a sentence where the line is so full that it was broken for want of room.
    """
    for start, end in _blocks(text):
        begin = start
        parenthesis = _Parenthesis(text, start, end)
        for found in _END.finditer(text, start, end):
            mark, after = found.span()
            if mark < begin or parenthesis.holds(begin, mark, after):
                continue
            if _ends_here(text, begin, mark, after, end):
                yield from _trimmed(text, begin, after)
                begin = after
        yield from _trimmed(text, begin, end)


class _Parenthesis:
    """What is in parentheses, of a block that is read once from its beginning to its end."""

    def __init__(self, text: str, start: int, end: int) -> None:
        self._text = text
        self._end = end
        self._read = start
        self._opened, self._closed = start, start
        # The sentence that was asked about last, and its first character that is not blank.
        self._begin, self._first = -1, start

    def holds(self, begin: int, mark: int, after: int) -> bool:
        """Whether the marks from `mark` to `after` are in parentheses, inside their sentence.

        begin: of the sentence; one that is in parentheses as a whole may end with them
        """
        for found in _PARENTHESIS.finditer(self._text, self._read, mark):
            opened = found.start()
            if found.group() in _CLOSED_BY and opened >= self._closed:
                furthest = min(self._end, opened + _LONGEST_PARENTHESIS)
                closed = self._text.find(_CLOSED_BY[found.group()], opened, furthest)
                if closed >= 0:
                    self._opened, self._closed = opened, closed + 1
        self._read = max(self._read, mark)
        if mark >= self._closed or self._closed > after:
            return mark < self._closed
        return self._first_of(begin) < self._opened

    def _first_of(self, begin: int) -> int:
        """The first character of a sentence that is not blank; looked for once a sentence."""
        if begin != self._begin:
            self._begin = self._first = begin
            while self._first < self._end and self._text[self._first].isspace():
                self._first += 1
        return self._first


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """Spans no sentence reaches out of: lines, and runs of full lines."""
    start = line = 0
    for found in _BREAK.finditer(text):
        if not _goes_on(text, line, found.start(), found.end()):
            yield start, found.start()
            start = found.end()
        line = found.end()
    yield start, len(text)


def _goes_on(text: str, start: int, end: int, following: int) -> bool:
    """Whether the line from `start` to `end` is broken only for want of room."""
    if end - start < _FULL_LINE or following == len(text):
        return False
    here = _first_not_blank(text, following)
    return here is not None and not _BULLET.match(text, here)


def _first_not_blank(text: str, start: int) -> int | None:
    """The first character of the line that is no whitespace; None in a blank line."""
    place = start
    while place < len(text):
        if _BREAK.match(text, place):
            return None
        if not text[place].isspace():
            return place
        place += 1
    return None


def _ends_here(text: str, begin: int, mark: int, after: int, end: int) -> bool:
    """Whether the marks from `mark` to `after` end the sentence that begins at `begin`."""
    following = after
    while following < end and text[following] in _OPENERS:
        following += 1
    behind = text[following : min(end, following + _LOOKED_AHEAD)]
    marks = text[mark:after]
    if is_quoted(marks) and is_reported(text, following):
        return False
    if text[mark] in "。！？｡":
        return True
    if behind[:1].islower():
        return False
    if _ELLIPSIS.match(marks):
        return not _ALWAYS_A_CAPITAL.match(behind)
    word = _LAST_WORD.search(text[max(begin, mark - _LONGEST_WORD) : mark])
    return text[mark] != "." or word is None or not goes_on(word.group(), behind)


def _trimmed(text: str, start: int, end: int) -> Iterator[Sentence]:
    """The span without bullets and whitespace around it; nothing where it has no letter."""
    while start < end and text[start].isspace():
        start += 1
    bullet = _BULLET.match(text, start, end)
    if bullet and (start == 0 or _at_line_start(text, start)):
        start = bullet.end()
        while start < end and text[start].isspace():
            start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if any(text[place].isalpha() for place in range(start, end)):
        yield Sentence(start, end)


def _at_line_start(text: str, place: int) -> bool:
    while place > 0 and text[place - 1] in " \t\u00a0":
        place -= 1
    return place == 0 or text[place - 1] in "\n\r\x0b\x0c\x85\u2028\u2029"
