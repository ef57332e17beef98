"""kill -9 in the middle of everything: nothing is lost, and the answers are the same."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import orjson
from rich.console import Console

from streamproc.cli.demo.cluster import Cluster
from streamproc.cli.demo.exchange import Exchange, together_s


async def show_kill(console: Console, cluster: Cluster) -> None:
    """Ask all that was asked so far again, at once, and kill the worker at a third of it."""
    before = list(cluster.asked)
    with console.status("all again, the worker killed at a third of it …"):
        heard, again = await cluster.worker.watch(_ask_and_kill(cluster, before))
    console.print(
        f"[bold]kill -9[/]: all {len(before)} requests again, at once. After {heard} answers "
        f"the worker is killed and a new one is started: [bold]{len(again)} of {len(before)} "
        f"answered[/] in {together_s(again):.0f} s, nothing lost; {same(before, again)} of "
        f"{len(again)} results are those of before, byte for byte.\n"
    )


def same(before: Sequence[Exchange], again: Sequence[Exchange]) -> int:
    """How many requests got the same result twice, byte for byte."""
    return sum(
        orjson.dumps(one.result) == orjson.dumps(other.result)
        for one, other in zip(before, again, strict=True)
    )


async def _ask_and_kill(
    cluster: Cluster, exchanges: Sequence[Exchange]
) -> tuple[int, list[Exchange]]:
    """How many were answered when the worker was killed, and all of the answers, in order."""
    asked = [asyncio.create_task(cluster.exchange(e.task, e.request)) for e in exchanges]
    heard = 0
    try:
        for count, answer in enumerate(asyncio.as_completed(asked), start=1):
            await answer
            if count == len(asked) // 3 + 1:
                heard = sum(task.done() for task in asked)
                cluster.worker.kill()
                cluster.worker.start()
        return heard, await asyncio.gather(*asked)
    finally:
        for task in asked:
            task.cancel()
