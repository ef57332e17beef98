"""Coroutines that run at the same time and end together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


async def run_together(coroutines: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """What they return, in their order; once one raises, the others are cancelled.

    Not a TaskGroup, which would raise a group of errors where callers look for one.
    """
    everything = list(coroutines)
    if len(everything) == 1:
        return [await everything[0]]
    tasks = [asyncio.create_task(coroutine) for coroutine in everything]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def run_few_together(
    ask: Callable[[Item], Coroutine[Any, Any, Result]], items: Sequence[Item], at_once: int
) -> list[Result]:
    """What is returned for each item, in their order; once one raises, the others are cancelled.

    at_once: for how many items it runs at the same time; the others are not begun until then
    """
    results: dict[int, Result] = {}
    waiting = iter(enumerate(items))

    async def take_turns() -> None:
        for number, item in waiting:
            results[number] = await ask(item)

    await run_together([take_turns() for _ in range(min(at_once, len(items)))])
    return [results[number] for number in range(len(items))]
