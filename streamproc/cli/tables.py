"""Tables that show every name whole, at any width and through a pipe."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from streamproc.logs.printable import printable

Cell = str | tuple[str, bool]
"""A text; with True it stands out on a terminal."""


def print_table(
    console: Console,
    headings: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    *,
    names: Collection[int] = (0,),
    numbers: Collection[int] = (),
) -> None:
    """Print a table: lined on a terminal, a block a row where that is too narrow, plain elsewhere.

    names:   columns whose cells are never broken: what one types or looks for
    numbers: columns that stand to the right
    """
    shown = [[_text(cell) for cell in row] for row in rows]
    if not console.is_terminal:
        for line in _plain([headings, *([text.plain for text in row] for row in shown)], numbers):
            console.print(line)
        return
    table = _lined(headings, shown, names, numbers)
    # As wide as whole names and the longest words of prose need, whatever width there is.
    unlimited = console.options.update(max_width=sys.maxsize)
    if Measurement.get(console, unlimited, table).minimum > console.width:
        for row in shown:
            _print_block(console, headings, row)
    else:
        console.print(table)


def _text(cell: Cell) -> Text:
    text, strong = (cell, False) if isinstance(cell, str) else cell
    return Text(printable(text), "bold" if strong else "")


def _plain(rows: Sequence[Sequence[str]], numbers: Collection[int]) -> Iterator[str]:
    """Columns two spaces apart, as wide as they are."""
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            " " * (width - cell_len(text)) + text
            if place in numbers
            else text + " " * (width - cell_len(text))
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def _lined(
    headings: Sequence[str],
    rows: Sequence[Sequence[Text]],
    names: Collection[int],
    numbers: Collection[int],
) -> Table:
    table = Table()
    for place, heading in enumerate(headings):
        table.add_column(
            Text(heading),
            no_wrap=place in names,
            overflow="fold",
            justify="right" if place in numbers else "left",
        )
    for row in rows:
        table.add_row(*row)
    return table


def _print_block(console: Console, headings: Sequence[str], row: Sequence[Text]) -> None:
    first, *rest = row
    console.print(Text.assemble((first.plain, "bold")), overflow="fold")
    for heading, text in zip(headings[1:], rest, strict=True):
        if text.plain:
            shown = Text.assemble((f"{heading}: ", "dim"), text, overflow="fold")
            console.print(Padding(shown, (0, 0, 0, 2)))
