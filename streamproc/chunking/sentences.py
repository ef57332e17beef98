"""Cutting a text into sentences, so that they and what stands between them are the text exactly.

By rules of punctuation, for any language that writes with them: no dictionary, no model. Where the
rules are in doubt they do not cut: two sentences together still translate, half of one does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

# A line this long, in characters, was broken for want of room; a shorter one ends on purpose.
_FULL_LINE = 50

_BREAK = re.compile(r"\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]")
# What introduces an item of a list, a heading or a quotation.
_BULLET = re.compile(r"(?:[-*+•‣◦▪●·–—]|#{1,6}|>|\(?(?:\d{1,3}|[a-z])[.)]|\(?[A-Z]\))[ \t\u00a0]+")
_CLOSERS = r"[\"'”’»›)\]}」』）】〉》*_]*+"
# Western full stops need a space after them, those of CJK do not. A run of marks is looked at once,
# from its beginning and without going back: a million full stops take no longer than other text.
_END = re.compile(rf"(?<![.!?…‽؟۔।])[.!?…‽؟۔।]++{_CLOSERS}(?=\s)|[。！？｡]++{_CLOSERS}")
_LAST_WORD = re.compile(r"[^\s\"'“‘«(\[]*$")
_LETTERS_WITH_STOPS = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]?", re.UNICODE)
_OPENERS = "\"'“‘«‹(['¿¡„「『（【*_ \t\u00a0\r\n"
_LONGEST_WORD = 24

# Without their full stop; each is hardly ever a sentence's last word.
_ABBREVIATIONS = re.compile(
    "mr|mrs|ms|messrs|mme|mlle|dr|prof|rev|hon|st|gen|col|maj|capt|lt|sgt|cpl|gov|sen|rep|pres|"
    "jr|sr|vs|viz|cf|ca|approx|figs?|eq|vols?|ch|sec|pp|eds?|repr|transl|"
    "hr|fr|dipl|ing|bzw|evtl|ggf|inkl|vgl|sog|usf|mm?|sra|srta|dña",
    re.IGNORECASE,
)
_BEFORE_NUMBERS = re.compile(
    "no|nr|p|art|abs|bd|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec", re.IGNORECASE
)


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
        for found in _END.finditer(text, start, end):
            if found.start() >= begin and _ends_here(text, begin, found.start(), found.end(), end):
                yield from _trimmed(text, begin, found.end())
                begin = found.end()
        yield from _trimmed(text, begin, end)


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
    if text[mark] in "。！？｡":
        return True
    following = after
    while following < end and text[following] in _OPENERS:
        following += 1
    if following < end and text[following].islower():
        return False
    word = _LAST_WORD.search(text[max(begin, mark - _LONGEST_WORD) : mark])
    if text[mark] != "." or text[mark:after].startswith("..") or word is None:
        return True
    return not _is_abbreviation(word.group(), text[following : min(end, following + 1)])


def _is_abbreviation(word: str, following: str) -> bool:
    """Whether a full stop after `word` is part of it; following: the next character but quotes."""
    # In German an ordinal, in a list its number.
    if word.isdigit() and len(word) <= 2:
        return following != ""
    if following.isdigit() and _BEFORE_NUMBERS.fullmatch(word):
        return True
    if word == "I":
        return False
    return bool(_ABBREVIATIONS.fullmatch(word) or _LETTERS_WITH_STOPS.fullmatch(word + "."))


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
