"""token-classification: the entities of a long document, and where they lie in it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from streamproc.cli.demo.cluster import Cluster
from streamproc.cli.demo.excerpt import excerpt, shortened, visible
from streamproc.cli.demo.exchange import Exchange
from streamproc.cli.demo.texts import ADDRESS_TITLE, address

TASK = "token-classification"
FREQUENT = 6
SHOWN = 6

Entity = dict[str, Any]


async def show(console: Console, cluster: Cluster) -> None:
    """What was found most, and the surest of every part of the document in its words."""
    text = address()
    [exchange] = await cluster.ask(TASK, [{"text": text}])
    entities, coverage = exchange.result["entities"], exchange.coverage
    console.print(
        f"{ADDRESS_TITLE}: {coverage['characters']:,} characters in {coverage['chunks']:,} "
        f"overlapping chunks, {coverage['characters_covered']:,} seen by the models, in "
        f"{exchange.took_s:.1f} s.\n"
    )
    console.print(group_table(entities, console.width - 18))
    console.print(
        f"\n{len(entities)} entities, and {sliced(exchange)} of them are text\\[start:end]. "
        f"The most certain one in each of {SHOWN} equal parts of the text, in its context:\n"
    )
    console.print(place_table(text, surest(entities, len(text), SHOWN), console.width - 26))
    console.print()


def sliced(exchange: Exchange) -> int:
    """How many entities have offsets that cut their own words out of the text."""
    text = exchange.request["text"]
    return sum(text[e["start"] : e["end"]] == e["word"] for e in exchange.result["entities"])


def surest(entities: Sequence[Entity], length: int, parts: int) -> list[Entity]:
    """The entity of the highest score in each of so many equal parts of a text that has any."""
    best: dict[int, Entity] = {}
    for entity in entities:
        part = entity["start"] * parts // length
        if part not in best or entity["score"] > best[part]["score"]:
            best[part] = entity
    return [best[part] for part in sorted(best)]


def group_table(entities: Sequence[Entity], width: int) -> Table:
    """A row a group: how many, and which words most often, in so many characters."""
    words: dict[str, Counter[str]] = defaultdict(Counter)
    for entity in entities:
        words[entity["entity_group"]][" ".join(entity["word"].split())] += 1
    table = Table(box=None, padding=(0, 1))
    table.add_column("group")
    table.add_column("found", justify="right")
    table.add_column("most often")
    for group, counted in sorted(words.items(), key=lambda row: -row[1].total()):
        frequent = ", ".join(f"{word} {count}" for word, count in counted.most_common(FREQUENT))
        table.add_row(group, str(counted.total()), Text(shortened(visible(frequent), width)))
    return table


def place_table(text: str, entities: Sequence[Entity], width: int) -> Table:
    """A row an entity: its offset, its group, and the words around it in so many characters."""
    table = Table(box=None, padding=(0, 1))
    table.add_column("start", justify="right")
    table.add_column("score", justify="right")
    table.add_column("group")
    table.add_column("in context", no_wrap=True)
    for entity in entities:
        table.add_row(
            f"{entity['start']:,}",
            f"{entity['score']:.3f}",
            entity["entity_group"],
            excerpt(text, entity["start"], entity["end"], width),
        )
    return table
