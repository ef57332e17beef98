"""How much a function does with a text, counted: lines that are run, and characters copied."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, SupportsIndex, final

_PACKAGE = "streamproc"


@final
class CountedText(str):
    """A text whose parts are counted as they are taken out of it, and parts of these too."""

    __slots__ = ("copied",)

    copied: list[int]

    @classmethod
    def of(cls, text: str, copied: list[int]) -> CountedText:
        """copied: one number, which goes up by the characters copied"""
        made = cls(text)
        made.copied = copied
        return made

    def __getitem__(self, key: SupportsIndex | slice) -> str:
        part = super().__getitem__(key)
        self.copied[0] += len(part)
        return CountedText.of(part, self.copied) if isinstance(key, slice) else part

    def strip(self, characters: str | None = None) -> str:
        self.copied[0] += len(self)
        return super().strip(characters)


def work(function: Callable[[str], object], text: str) -> int:
    """Lines of the package that a function runs over a text, and characters it copies.

    What a library does in C with a text is not counted, but what it is handed is.
    """
    copied = [0]
    counted = CountedText.of(text, copied)
    lines = 0

    def count(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal lines
        if not frame.f_globals.get("__name__", "").startswith(_PACKAGE):
            return None
        if event == "line":
            lines += 1
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        function(counted)
    finally:
        sys.settrace(before)
    return lines + copied[0]
