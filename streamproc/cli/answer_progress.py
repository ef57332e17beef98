"""How far a file's answers are: a bar on a terminal, else a plain line now and then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

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
    with Live(console=console, transient=True, auto_refresh=False) as live:
        while True:
            live.update(bar(progress(), clock.monotonic_s() - began_s), refresh=True)
            await clock.sleep(_REFRESH_S)


def bar(now: BulkProgress, seconds: float) -> RenderableType:
    """Two lines: how many are done, with a bar and the time left; how fast, and what went wrong."""
    count, left = now.other_work, ""
    if not count:
        count, left = f"{now.count()} answered", now.time_left(seconds)
    first = Table.grid(padding=(0, 1), expand=True)
    first.add_column(no_wrap=True)
    first.add_column(ratio=1)
    first.add_column(no_wrap=True)
    total = now.total if now.written is None else now.answered
    line = ProgressBar(total=total, completed=now.done, pulse=total is None)
    first.add_row(Text(count), line, Text(f"{left} left" if left else ""))
    second = "" if now.other_work else ", ".join(now.speeds(seconds))
    errors = f"errors: {now.told_errors()}" if now.errors else ""
    said = "; ".join(part for part in (second, errors) if part)
    return Group(first, Text(said, no_wrap=True, overflow="ellipsis"))


async def _shown_by_lines(progress: Progressed, clock: Clock, console: TerminalConsole) -> None:
    began_s = clock.monotonic_s()
    await clock.sleep(_FIRST_LINE_S)
    while True:
        console.print(progress().line(clock.monotonic_s() - began_s))
        await clock.sleep(_NEXT_LINES_S)
