"""The order of the show: a scene a task, then what no scene should be able to break."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from rich.console import Console
from rich.markup import escape

from streamproc.cli.demo import (
    answers,
    continuation,
    entities,
    sentiment,
    summary,
    translation,
)
from streamproc.cli.demo.cluster import Cluster, running_cluster
from streamproc.cli.demo.keeping import keep_running
from streamproc.cli.demo.kill import show_kill
from streamproc.cli.demo.poison import show_poison
from streamproc.cli.demo.route import show_route

WIDEST = 100

NEXT = """
Next, after [bold]. .venv/bin/activate[/], each in its own terminal:
  [bold]streamproc broker[/]
  [bold]streamproc topics apply && streamproc worker[/]
  [bold]streamproc submit FILE[/], with [bold]--task[/] and one of the names above
README.md explains more."""

Scene = Callable[[Console, Cluster], Awaitable[None]]
SCENES: dict[str, Scene] = {
    "text-classification": sentiment.show,
    "token-classification": entities.show,
    "question-answering": answers.show,
    "translation": translation.show,
    "summarization": summary.show,
    "text-generation": continuation.show,
}


def show_all(*, keep: bool) -> None:
    """Everything, on a console that is not too wide to be read.

    keep: afterwards Kafka and the worker stay, with a page, until Ctrl-C
    """
    # Topics are minutes old here, and clients complain about leaders not yet chosen.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    console = Console(highlight=False)
    console.width = min(console.width, WIDEST)
    asyncio.run(_show(console, keep=keep))


async def _show(console: Console, *, keep: bool) -> None:
    async with running_cluster(console) as cluster:
        for task, show in SCENES.items():
            if task in cluster.topics:
                _headline(console, cluster, task)
                with console.status(f"{task} …"):
                    await show(console, cluster)
        if cluster.route is not None:
            console.rule("[bold]a route", align="left")
            with console.status("a route …"):
                await show_route(console, cluster, cluster.route)
        console.rule("[bold]When things go wrong", align="left")
        await show_poison(console, cluster)
        await show_kill(console, cluster)
        if keep:
            await keep_running(console, cluster)
    console.print("The worker got SIGTERM, drained and committed; Kafka is stopped, too.")
    console.print(NEXT)


def _headline(console: Console, cluster: Cluster, task: str) -> None:
    manifest = cluster.manifests[task]
    console.rule(f"[bold]{task}", align="left")
    members = ", ".join(member.name for member in manifest.members)
    told = f"ensemble {manifest.name} of {members}\n{manifest.description}".strip()
    console.print(f"[dim]{escape(told)}[/]\n")
