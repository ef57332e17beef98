"""Cutting a text into pieces that are tokenized one at a time, so that a novel is made lazily."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

SEGMENT_CHARACTERS = 32_768
_LOOK_BACK = 4_096
_JOINING_CATEGORIES = frozenset({"Mn", "Mc", "Me", "Cf", "Sk"})


def segments(text: str, size: int = SEGMENT_CHARACTERS) -> Iterator[tuple[int, int]]:
    """Spans of `text`, in characters, that together are all of it.

    A segment ends before whitespace where there is any near its end: a pre-tokenizer cuts there
    too, so tokens are what they would be if the whole text were tokenized at once. In text without
    spaces it ends where no combining mark, joiner or modifier would be parted from its base.
    """
    start = 0
    while len(text) - start > size:
        end = cut_before(text, start, start + size)
        yield start, end
        start = end
    if start < len(text):
        yield start, len(text)


def cut_before(text: str, start: int, end: int) -> int:
    """The last place up to `end`, and after `start`, where a text may be cut: before whitespace
    where there is any near, else where nothing is parted that is read as one character."""
    lowest = max(start + 1, end - _LOOK_BACK)
    for place in range(end, lowest - 1, -1):
        if _separates(text[place]) and not _separates(text[place - 1]):
            return place
    for place in range(end, lowest - 1, -1):
        if not _joined(text[place - 1], text[place]):
            return place
    return end


def _separates(character: str) -> bool:
    """Whether tokenizers hold it to be whitespace; form feed and its like they drop instead, and
    join what stood on both sides."""
    return character in "\t\n\r" or unicodedata.category(character).startswith("Z")


def _joined(before: str, after: str) -> bool:
    if unicodedata.category(before) == "Cf" or unicodedata.category(after) in _JOINING_CATEGORIES:
        return True
    # The vowels and last consonants of decomposed Korean; the letters that make a flag.
    return "\u1160" <= after <= "\u11ff" or (_is_flag(before) and _is_flag(after))


def _is_flag(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"
