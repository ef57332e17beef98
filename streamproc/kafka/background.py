"""Work that goes on beside whoever began it, until that one is done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
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


@contextmanager
def own_cancellation_only() -> Iterator[None]:
    """Go on behind the block where something within was cancelled, and not whoever runs it.

    A client's task or thread that ends by itself raises CancelledError in those that wait for it.
    """
    task = asyncio.current_task()
    before = 0 if task is None else task.cancelling()
    try:
        yield
    except asyncio.CancelledError:
        if task is not None and task.cancelling() > before:
            raise


async def ended(task: asyncio.Task[None]) -> None:
    """Returns once a task that is not needed any more has ended.

    It is cancelled again and again: `asyncio.wait_for` of Python 3.11 loses one that comes in the
    moment in which what it waits for is done.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=CANCEL_AGAIN_S)
