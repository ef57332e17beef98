"""text-classification: short reviews, many at once, and a long one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from streamproc.cli.demo.cluster import Cluster
from streamproc.cli.demo.excerpt import shortened, visible
from streamproc.cli.demo.exchange import Exchange, together_s
from streamproc.cli.demo.texts import reviews

TASK = "text-classification"
SHOWN = 8

Review = dict[str, Any]


async def show(console: Console, cluster: Cluster) -> None:
    """A table of some, a count of all, and what a long review was cut into."""
    *short, long = reviews()
    first = await cluster.ask(TASK, map(_request, short[:SHOWN]))
    console.print(review_table(short[:SHOWN], first, console.width - 46))
    rest = await cluster.ask(TASK, map(_request, short[SHOWN:]))
    right = sum(
        exchange.result["label"] == _said(review)
        for review, exchange in zip(short, [*first, *rest], strict=True)
    )
    console.print(
        f"\n{len(rest)} more at once: answered in {together_s(rest):.1f} s. "
        f"{right} of {len(short)} labels agree with the author's "
        f"({right / len(short):.0%}; these reviews are from the test set)."
    )
    [whole] = await cluster.ask(TASK, [_request(long)])
    coverage, result = whole.coverage, whole.result
    console.print(
        f"A long review: {coverage['characters']:,} characters in {coverage['chunks']} overlapping "
        f"chunks, {coverage['characters_covered']:,} seen by the models: "
        f"[bold]{result['label']}[/] {result['score']:.3f} (the author's label: {_said(long)}).\n"
    )


def review_table(reviews: Sequence[Review], exchanges: Sequence[Exchange], width: int) -> Table:
    """A row a review: its first characters, what the models say, what its author said."""
    table = Table(box=None, padding=(0, 1))
    for column in ("review", "answer"):
        table.add_column(column)
    for column in ("score", "agree", "ms"):
        table.add_column(column, justify="right")
    table.add_column("author")
    for review, exchange in zip(reviews, exchanges, strict=True):
        result, said = exchange.result, _said(review)
        table.add_row(
            Text(shortened(visible(review["text"]), width)),
            Text(result["label"], "green" if result["label"] == said else "red"),
            f"{result['score']:.3f}",
            f"{exchange.response['agreement']:.0%}",
            f"{exchange.response['timing']['total_ms']:.0f}",
            said,
        )
    return table


def _request(review: Review) -> Review:
    # What the author said stays here: a worker has no use for it.
    return {"text": review["text"]}


def _said(review: Review) -> str:
    return str(review["metadata"]["label"])
