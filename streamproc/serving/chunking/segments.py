"""Where a text that is too long may be cut when nothing better is known of it."""

from __future__ import annotations

import unicodedata

_LOOK_BACK = 4_096
_JOINING_CATEGORIES = frozenset({"Mn", "Mc", "Me", "Cf", "Sk"})


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
