"""Work that goes on beside whoever began it, until that one is done."""

from __future__ import annotations

import asyncio


async def ended(task: asyncio.Task[None]) -> None:
    """Returns once a task that is not needed any more has ended."""
    task.cancel()
    await asyncio.wait({task})
