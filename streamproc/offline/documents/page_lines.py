"""Lines as they lie on a page, to paragraphs: a page of a PDF knows nothing of these."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

# In heights of the line. What lies further below than lines of a paragraph do begins a new one.
_PARAGRAPH_GAP = 0.7
_OTHER_FONT = 1.25
_INDENT = 0.8
# Of the paragraph's width: a line that ends before it is the last of its paragraph, or no prose.
_FULL_LINE = 0.75
# Dots between a heading and its page.
_LEADER = re.compile(r"(?:\. ?){4}")
_BULLETS = ("•", "●", "▪", "■", "◦", "‣", "–", "—", "·", "*", "-")


@dataclass(frozen=True, slots=True)
class PageLine:
    """A line of text and its box, in points from the left and from the bottom of its page.

    columns:  words stand apart in it as in a row of a table
    hyphen:   a word goes on in the next line, and a hyphen is there for that alone
    """

    text: str
    left: float
    right: float
    top: float
    bottom: float
    columns: bool = False
    hyphen: bool = False

    @property
    def height(self) -> float:
        return self.top - self.bottom


def paragraphs(lines: Iterable[PageLine]) -> Iterator[str]:
    """The paragraphs that lines make: prose is joined, other lines stay lines."""
    text, before = "", None
    for block in _blocks(lines):
        if before is not None and _goes_on_elsewhere(before, block[0]):
            text += ("" if before.hyphen else " ") + _joined(block)
        else:
            if before is not None:
                yield text
            text = _joined(block)
        before = block[-1]
    if before is not None:
        yield text


def _blocks(lines: Iterable[PageLine]) -> Iterator[list[PageLine]]:
    """Lines that lie below each other, as those of a paragraph do."""
    block: list[PageLine] = []
    for line in lines:
        if block and _begins_block(block[-1], line):
            yield block
            block = []
        block.append(line)
    if block:
        yield block


def _begins_block(before: PageLine, line: PageLine) -> bool:
    height = max(before.height, line.height, 1.0)
    gap = before.bottom - line.top
    if gap > _PARAGRAPH_GAP * height or gap < -height:
        return True
    smaller, larger = sorted((before.height, line.height))
    return larger > _OTHER_FONT * max(smaller, 1.0) and not before.hyphen


def _goes_on_elsewhere(before: PageLine, line: PageLine) -> bool:
    """Whether a sentence goes on further up, in another column or on another page."""
    if before.columns or line.columns or before.bottom - line.top > 0:
        return False
    return before.hyphen or (line.text[:1].islower() and before.text[-1:] not in ".!?:")


def _joined(lines: list[PageLine]) -> str:
    left, right = min(line.left for line in lines), max(line.right for line in lines)
    text = lines[0].text
    for before, line in pairwise(lines):
        if before.hyphen:
            text += line.text
        elif _goes_on(before, line, left, right):
            text += " " + line.text
        else:
            text += "\n" + line.text
    return text


def _goes_on(before: PageLine, line: PageLine, left: float, right: float) -> bool:
    """Whether a line of prose goes on in the next one."""
    if before.columns or line.columns or line.text.startswith(_BULLETS):
        return False
    if _LEADER.search(before.text):
        return False
    hangs = before.text.startswith(_BULLETS)
    indented = (
        not hangs and line.left - before.left > _INDENT * line.height and before.left - left < 1
    )
    full = before.right - left >= _FULL_LINE * (right - left)
    return full and not indented
