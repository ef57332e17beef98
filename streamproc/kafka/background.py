"""Work that goes on beside whoever began it, until that one is done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

CANCEL_AGAIN_S: Final = 1.0


@asynccontextmanager
async def beside(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Have work go on within the block; it has ended behind it."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


async def ended(task: asyncio.Task[None]) -> None:
    """Returns once a task that is not needed any more has ended.

    It is cancelled again and again: `asyncio.wait_for` of Python 3.11 loses one that comes in the
    moment in which what it waits for is done.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=CANCEL_AGAIN_S)
