"""How far a long command is: a bar or a spinner on a terminal, now and then a line elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from streamproc.cli.terminal import TerminalConsole, stderr_console
from streamproc.clock import Clock, SystemClock
from streamproc.logs.printable import printable

# A log that is read hours later should neither be silent nor be nothing else.
SECONDS_BETWEEN_LINES = 10.0

Say = Callable[[str], None]
"""What is being done now."""
Count = Callable[[int], None]
"""How many are done by now."""


@contextmanager
def activity(doing: str, console: TerminalConsole | None = None) -> Iterator[Say]:
    """Shows what is being done, on standard error unless another console is given."""
    console = console or stderr_console()
    if not console.is_terminal:
        say = PlainLines(console)
        say(doing)
        yield say
        return
    with console.status(Text(doing)) as status:
        yield lambda text: status.update(Text(printable(text)))


@contextmanager
def counting(doing: str, total: int) -> Iterator[Count]:
    """Shows how many of all are done."""
    console = stderr_console()
    if not console.is_terminal:
        say = PlainLines(console)
        say(f"{doing}: {total:,}")
        yield lambda done: say(f"{doing}: {done:,} of {total:,}")
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task(printable(doing), total=total)
        yield lambda done: bar.update(task, completed=done)


@contextmanager
def fetching(what: str, console: Console) -> Iterator[Callable[[int, int], None]]:
    """Shows how many bytes of all are fetched, from the first on, so nothing when none are.

    Where there is no terminal it is a single line.
    """
    said = f"fetching {what}, once"
    columns = (TextColumn(said, markup=False), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True)
    task = bar.add_task(said, total=None)

    def report(done_bytes: int, total_bytes: int) -> None:
        if console.is_terminal:
            bar.start()
        elif bar.tasks[0].total is None:
            console.print(f"{said}: {total_bytes >> 20} MiB")
        bar.update(task, completed=done_bytes, total=total_bytes)
        if done_bytes >= total_bytes:
            stop()

    def stop() -> None:
        if console.is_terminal:  # elsewhere rich would print an empty line
            bar.stop()

    try:
        yield report
    finally:
        stop()


class PlainLines:
    """Prints a line when the last is some seconds old; the first at once."""

    def __init__(self, console: TerminalConsole, clock: Clock | None = None) -> None:
        self._console = console
        self._clock = clock or SystemClock()
        self._last_s: float | None = None

    def __call__(self, text: str) -> None:
        now_s = self._clock.monotonic_s()
        if self._last_s is None or now_s - self._last_s >= SECONDS_BETWEEN_LINES:
            self._last_s = now_s
            self._console.print(printable(text))
