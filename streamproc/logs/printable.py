"""Texts of others as a terminal may show them: nothing that it would obey, or that hides."""

from __future__ import annotations

import unicodedata

# Control and format characters (escape sequences, bells, marks that turn the direction of writing
# round), separators that break a line, halves of surrogate pairs, which have no bytes in UTF-8.
_ESCAPED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Emoji, Persian and the scripts of India are written with these two, and no terminal obeys them.
_JOINERS = "\u200c\u200d"


def printable(text: str, *, lines: bool = False) -> str:
    r"""`text`, what a terminal would obey written as Python writes it: `\x1b`, `\u202e`, `\n`.

    lines: line feeds and tabs are left as they are
    """
    # isprintable() is quick and true of almost every text; it calls some spaces unprintable, too.
    if text.isprintable():
        return text
    kept = _JOINERS + "\n\t" if lines else _JOINERS
    return "".join(
        character
        if character in kept or unicodedata.category(character) not in _ESCAPED
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
