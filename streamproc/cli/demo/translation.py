"""translation: a letter, sentence by sentence, its paragraphs kept."""

from __future__ import annotations

from itertools import zip_longest

from rich.console import Console
from rich.table import Table
from rich.text import Text

from streamproc.cli.demo.cluster import Cluster
from streamproc.cli.demo.excerpt import visible
from streamproc.cli.demo.texts import letter

TASK = "translation"
PARAGRAPH = "\n\n"


async def show(console: Console, cluster: Cluster) -> None:
    """The letter beside its translation, a paragraph beside a paragraph."""
    [exchange] = await cluster.ask(TASK, [{"text": letter()}])
    translated = exchange.result["translation_text"]
    console.print(letter_table(letter(), translated))
    console.print(
        f"\n{exchange.coverage['chunks']} sentences at once, in {exchange.took_s:.1f} s; "
        f"{_paragraphs(letter())} paragraphs went in, {_paragraphs(translated)} came out.\n"
    )


def letter_table(source: str, target: str) -> Table:
    """Two columns, a row a paragraph."""
    table = Table(box=None, padding=(0, 1))
    table.add_column("the letter")
    table.add_column("as translated")
    rows = zip_longest(source.split(PARAGRAPH), target.split(PARAGRAPH), fillvalue="")
    for number, paragraphs in enumerate(rows):
        if number:
            table.add_row()
        table.add_row(*map(_lines, paragraphs))
    return table


def _lines(paragraph: str) -> Text:
    return Text("\n".join(map(visible, paragraph.split("\n"))))


def _paragraphs(text: str) -> int:
    return len(text.split(PARAGRAPH))
