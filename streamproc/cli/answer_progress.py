"""How far a file's answers are: a bar on a terminal, else a plain line now and then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from rich.progress import BarColumn, Progress, TextColumn

from streamproc.cli.terminal import TerminalConsole
from streamproc.clock import Clock

_REFRESH_S = 0.25
_FIRST_LINE_S = 10.0
_NEXT_LINES_S = 30.0


@dataclass(frozen=True, slots=True)
class Standing:
    """Rows read and answered so far.

    share_read: of the file, 0 to 1, which tells how many rows there are; None: it can't be told
    before:     answers that were there from a run before, and say nothing of how fast this one is
    """

    answered: int
    read: int
    share_read: float | None
    before: int = 0

    @property
    def total(self) -> int | None:
        """Rows of the whole file: about as many as what was read of it says."""
        if self.share_read == 1:
            return self.read
        return round(self.read / self.share_read) if self.share_read else None

    def said(self, seconds: float) -> str:
        """So far in a line, `seconds` after the beginning."""
        of = ""
        if self.total is not None:
            of = f" of {'' if self.share_read == 1 else 'about '}{self.total:,}"
        rate = (self.answered - self.before) / seconds if seconds > 0 else 0
        words = [f"{self.answered:,}{of} answered"]
        if rate:
            words.append(f"{rate:,.0f} a second" if rate >= 1 else f"{rate * 60:.0f} a minute")
            if self.total is not None and self.total > self.answered:
                words.append(f"{_duration((self.total - self.answered) / rate)} left")
        return ", ".join(words)


@asynccontextmanager
async def progress_shown(
    standing: Callable[[], Standing], clock: Clock, console: TerminalConsole
) -> AsyncIterator[None]:
    """Show where things stand until the end of what is within."""
    show = _shown_by_bar if console.is_terminal else _shown_by_lines
    showing = asyncio.create_task(show(standing, clock, console))
    try:
        yield
    finally:
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)


async def _shown_by_bar(
    standing: Callable[[], Standing], clock: Clock, console: TerminalConsole
) -> None:
    began_s = clock.monotonic_s()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=None))
    with Progress(*columns, console=console, transient=True, expand=True) as bar:
        shown = bar.add_task("", total=None)
        while True:
            now = standing()
            said = now.said(clock.monotonic_s() - began_s)
            bar.update(shown, description=said, completed=now.answered, total=now.total)
            await clock.sleep(_REFRESH_S)


async def _shown_by_lines(
    standing: Callable[[], Standing], clock: Clock, console: TerminalConsole
) -> None:
    began_s = clock.monotonic_s()
    await clock.sleep(_FIRST_LINE_S)
    while True:
        said = standing().said(clock.monotonic_s() - began_s)
        console.print(said)
        await clock.sleep(_NEXT_LINES_S)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
