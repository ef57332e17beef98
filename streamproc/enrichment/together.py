"""Coroutines that run at the same time and end together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

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
