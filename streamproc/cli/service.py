"""A command that serves until it is told to stop: its memory, its log and its event loop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable

from streamproc.cli.interruption import stop_on_signals
from streamproc.settings import Settings

Serve = Callable[[asyncio.Event], Awaitable[None]]
"""Serves until the event is set, and finishes what it has begun."""


def run_service(settings: Settings, serve: Serve) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    from streamproc.logs import configure_logging
    from streamproc.memory_allocator import return_large_allocations

    if sys.platform == "win32":
        from asyncio import run
    else:
        from uvloop import run

    return_large_allocations()
    configure_logging(settings)
    run(_until_told_to_stop(serve))


async def _until_told_to_stop(serve: Serve) -> None:
    stop = asyncio.Event()
    # Uvloop's handlers: unlike asyncio's, they lose no signal while threads keep waking the loop.
    stop_on_signals(stop)
    await serve(stop)
