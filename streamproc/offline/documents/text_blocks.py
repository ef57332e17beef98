"""Text put together of paragraphs and lines, as a document has them."""

from __future__ import annotations

from collections.abc import Sequence

COLUMN_SEPARATOR = " | "


class TextBlocks:
    """Collects a document's text: paragraphs have a blank line between them, lines do not."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._after_line = False

    def paragraph(self, text: str) -> None:
        """Add a paragraph, which may have line breaks; one of nothing is left out."""
        self._add(text.strip(), line=False)

    def line(self, text: str) -> None:
        """Add a line, which follows the line before it, as those of lists and tables do."""
        self._add(text.strip(), line=True)

    def table_row(self, cells: Sequence[str]) -> None:
        """Add a row as a line, its cells apart; one whose cells are all empty is left out."""
        if any(cells):
            self.line(COLUMN_SEPARATOR.join(cells))

    def end_lines(self) -> None:
        """Let the next line begin anew, as after a list or a table."""
        self._after_line = False

    def text(self) -> str:
        """All of it."""
        return "".join(self._parts)

    def _add(self, text: str, *, line: bool) -> None:
        if not text:
            return
        if self._parts:
            self._parts.append("\n" if line and self._after_line else "\n\n")
        self._parts.append(text)
        self._after_line = line


def on_one_line(text: str) -> str:
    """A text with every run of white space as one blank."""
    return " ".join(text.split())
