"""text-generation: prompts of several lengths continued in one batch, and the next word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.columns import Columns
from rich.console import Console
from rich.table import Table
from rich.text import Text

from streamproc.cli.demo.cluster import Cluster
from streamproc.cli.demo.excerpt import one_line, visible
from streamproc.cli.demo.exchange import Exchange, together_s

TASK = "text-generation"
PROMPTS = (
    "It was",
    "The king said that",
    "“I do not know,” said the old man, and",
    (
        "On the morning of the third day the wind rose, the ship began to roll, and the captain, "
        "who had said nothing since we left the harbour,"
    ),
)
OPENINGS = ("At the end of the", "She looked at", "In the year")
SAMPLED = {
    "max_new_tokens": 40,
    "do_sample": True,
    "temperature": 0.7,
    "top_k": 40,
    "seed": 7,
}
NEXT_WORDS = {"max_new_tokens": 1, "next_tokens": 5}
BAR = 10


async def show(console: Console, cluster: Cluster) -> None:
    """What was written after each prompt, and how likely the words are that could follow."""
    exchanges = await cluster.ask(TASK, [{"text": p, "params": SAMPLED} for p in PROMPTS])
    for exchange in exchanges:
        console.print(continued(exchange))
    console.print(
        f"\n{len(exchanges)} prompts in one batch, sampled with a seed, at most "
        f"{SAMPLED['max_new_tokens']} tokens each, in {together_s(exchanges):.1f} s. "
        "The most probable next tokens, by all models together:\n"
    )
    guesses = await cluster.ask(TASK, [{"text": o, "params": NEXT_WORDS} for o in OPENINGS])
    tables = [
        token_table(exchange.request["text"], exchange.result["next_tokens"])
        for exchange in guesses
    ]
    console.print(Columns(tables, padding=(0, 3)))
    console.print()


def continued(exchange: Exchange) -> Text:
    """A prompt, and in another style what was written after it; the reason of its end."""
    return Text.assemble(
        (exchange.request["text"], "bold"),
        (visible(one_line(exchange.result["generated_text"])), "green"),
        (f" ({exchange.result['finish_reason']})", "dim"),
    )


def token_table(opening: str, tokens: Sequence[dict[str, Any]]) -> Table:
    """A row a token: how it is written, its probability, and a bar against the likeliest."""
    table = Table(box=None, padding=(0, 1), show_header=False, title=f"{opening} …")
    table.title_style, table.title_justify = "bold", "left"
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    likeliest = max(token["probability"] for token in tokens)
    for token in tokens:
        probability = token["probability"]
        table.add_row(
            Text(f"“{visible(token['token'])}”"),
            f"{probability:.3f}",
            Text("█" * max(1, round(BAR * probability / likeliest)), "green"),
        )
    return table
