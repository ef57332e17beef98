"""How far a file's answers are: a bar on a terminal, else a plain line now and then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from rich.progress import BarColumn, Progress, TextColumn

from streamproc.cli.terminal import TerminalConsole
from streamproc.clock import Clock
from streamproc.offline.bulk.progress import BulkProgress

_REFRESH_S = 0.25
_FIRST_LINE_S = 10.0
_NEXT_LINES_S = 30.0

Progressed = Callable[[], BulkProgress]


@asynccontextmanager
async def progress_shown(
    progress: Progressed, clock: Clock, console: TerminalConsole
) -> AsyncIterator[None]:
    """Show how far it is until the end of what is within."""
    show = _shown_by_bar if console.is_terminal else _shown_by_lines
    showing = asyncio.create_task(show(progress, clock, console))
    try:
        yield
    finally:
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)


async def _shown_by_bar(progress: Progressed, clock: Clock, console: TerminalConsole) -> None:
    began_s = clock.monotonic_s()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=None))
    with Progress(*columns, console=console, transient=True, expand=True) as bar:
        shown = bar.add_task("", total=None)
        while True:
            now = progress()
            line = now.line(clock.monotonic_s() - began_s)
            bar.update(shown, description=line, completed=now.answered, total=now.total)
            await clock.sleep(_REFRESH_S)


async def _shown_by_lines(progress: Progressed, clock: Clock, console: TerminalConsole) -> None:
    began_s = clock.monotonic_s()
    await clock.sleep(_FIRST_LINE_S)
    while True:
        console.print(progress().line(clock.monotonic_s() - began_s))
        await clock.sleep(_NEXT_LINES_S)
