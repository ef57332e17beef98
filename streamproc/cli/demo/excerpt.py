"""Pieces of texts as a line on a screen shows them."""

from __future__ import annotations

import re

from rich.text import Text

# Characters to each side of a piece that an excerpt may show; no line is longer.
_REACH = 200
_ARROWS = str.maketrans({"\n": "↵", "\t": "→"})


def excerpt(text: str, start: int, end: int, width: int) -> Text:
    """`text[start:end]` in brackets, with as much of what is around it as a line has room for.

    width: of the line; longer only where the piece itself is
    """
    marked = f"[{visible(one_line(text[start:end]))}]"
    room = max(0, width - len(marked))
    before = visible(one_line(text[max(0, start - _REACH) : start]))
    after = visible(one_line(text[end : end + _REACH]))
    # What one side leaves free, the other takes.
    left = min(len(before), max(room // 2, room - len(after)))
    right = min(len(after), room - left)
    return Text.assemble(
        _ending(before, left), (marked, "bold green"), shortened(after, right), no_wrap=True
    )


def shortened(text: str, width: int) -> str:
    """The words that there is room for; an ellipsis is the rest."""
    if len(text) <= width:
        return text
    kept = text[: max(0, width - 1)]
    # A word is cut only where it is alone, or there are no spaces between words.
    return f"{kept[: kept.rfind(' ') + 1] or kept}…"[:width]


def one_line(text: str) -> str:
    """Every run of white space as one space, at both ends too: there the text may go on."""
    return re.sub(r"\s+", " ", text)


def visible(text: str) -> str:
    """A text without what a terminal would obey; line breaks and tabs as arrows."""
    arrows = text.translate(_ARROWS)
    return "".join(character if character.isprintable() else "·" for character in arrows)


def _ending(text: str, width: int) -> str:
    return shortened(text[::-1], width)[::-1]
