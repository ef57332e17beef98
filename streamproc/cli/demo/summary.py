"""summarization: a long review in a few words, of as many chunks as the models need."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from streamproc.cli.demo.cluster import Cluster
from streamproc.cli.demo.excerpt import visible
from streamproc.cli.demo.exchange import Exchange
from streamproc.cli.demo.texts import reviews

TASK = "summarization"


async def show(console: Console, cluster: Cluster) -> None:
    """What a long review comes to, and of how many chunks."""
    [exchange] = await cluster.ask(TASK, [{"text": reviews()[-1]["text"]}])
    console.print(summary(exchange))
    coverage = exchange.coverage
    console.print(
        f"\nA review of {coverage['characters']:,} characters, summarised in "
        f"{coverage['chunks']} chunks, in {exchange.took_s:.1f} s.\n"
    )


def summary(exchange: Exchange) -> Text:
    """A line for each chunk's summary."""
    lines = exchange.result["summary_text"].split("\n")
    return Text("\n".join(map(visible, lines)))
