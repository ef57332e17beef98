"""question-answering: several questions at once about a long document."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from streamproc.cli.demo.cluster import Cluster
from streamproc.cli.demo.excerpt import excerpt
from streamproc.cli.demo.exchange import Exchange, together_s
from streamproc.cli.demo.texts import ADDRESS_TITLE, address

TASK = "question-answering"
QUESTIONS = (
    "How many countries is the Peace Corps helping people in?",
    "Who said that civilization is a race between education and catastrophe?",
    "How much does a year of college cost?",
    "Which city is threatened?",
    "Who wanted to be the first to Paris?",
)


async def show(console: Console, cluster: Cluster) -> None:
    """Every question with its likeliest answer, among the words it stands in."""
    context = address()
    exchanges = await cluster.ask(TASK, [{"question": q, "context": context} for q in QUESTIONS])
    chunks = sum(exchange.coverage["chunks"] for exchange in exchanges)
    console.print(
        f"{len(exchanges)} questions at once about {ADDRESS_TITLE}: "
        f"{chunks:,} chunks in {together_s(exchanges):.1f} s. The best answer to each, "
        "in its context:\n"
    )
    for exchange in exchanges:
        console.print(answered(exchange, console.width))
    console.print()


def answered(exchange: Exchange, width: int) -> Text:
    """Two lines: the question; the answer's offset and score, and the words around it."""
    result, context = exchange.result, exchange.request["context"]
    place = f"{result['start']:>8,}  {result['score']:.3f}  "
    return Text.assemble(
        (exchange.request["question"], "bold"),
        "\n",
        (place, "dim"),
        excerpt(context, result["start"], result["end"], width - len(place)),
        no_wrap=True,
    )
