"""Foreign texts made safe for a terminal: control and format characters are escaped."""

from __future__ import annotations

import unicodedata

# Control and format characters (escape sequences, bells, marks that change the direction of
# writing), separators that break a line, and lone surrogates, which UTF-8 can't encode.
_ESCAPED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Emoji, Persian and the scripts of India need these two, and they do nothing to a terminal.
_JOINERS = "\u200c\u200d"


def printable(text: str, *, lines: bool = False) -> str:
    r"""`text` with control and format characters as Python escapes: `\x1b`, `\u202e`, `\n`.

    lines: keep line feeds and tabs
    """
    # isprintable() is quick and true of almost every text; it is false of some spaces, too.
    if text.isprintable():
        return text
    kept = _JOINERS + "\n\t" if lines else _JOINERS
    return "".join(
        character
        if character in kept or unicodedata.category(character) not in _ESCAPED
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
