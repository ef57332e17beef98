"""What commands print on: one console for standard output, one for standard error.

Whatever is printed on them is escaped (`streamproc.logs.printable`), so that no text out of a
record, a file or a manifest can set a title, clear the screen, or forge a line of ours.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import orjson
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from streamproc.logs.printable import printable


class TerminalConsole(Console):
    """rich's console, which hands no control characters on but its own.

    Through a pipe lines are neither wrapped nor cut, whatever width there is.
    """

    def __init__(self, *, stderr: bool = False, markup: bool = False, quiet: bool = False) -> None:
        super().__init__(stderr=stderr, markup=markup, emoji=False, highlight=False, quiet=quiet)
        self.soft_wrap = not self.is_terminal

    def render_str(self, text: str, **options: Any) -> Text:
        """A string; rich itself would leave some characters out without a word."""
        return super().render_str(printable(text, lines=True), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Segments; a control segment is rich's own, such as one that moves a bar's cursor."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(printable(segment.text, lines=True), segment.style)


def stdout_console(*, markup: bool = False, quiet: bool = False) -> TerminalConsole:
    """For what a command was asked for.

    markup: texts may be marked up, and what comes from elsewhere has to be escaped for that
    """
    return TerminalConsole(markup=markup, quiet=quiet)


def stderr_console() -> TerminalConsole:
    """For what is said beside it: errors, progress, counts."""
    return TerminalConsole(stderr=True)


def print_json(value: object) -> None:
    """As exact as it is, for other programs."""
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n")
