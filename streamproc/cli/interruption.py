"""Ctrl-C and SIGTERM as an error like any other, so that what is open is closed with care."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def stop_on_signals(stop: asyncio.Event) -> None:
    """Have the running loop set `stop` on Ctrl-C and SIGTERM, for as long as it runs."""
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop.set)


class Interrupted(Exception):
    """The process was told to stop.

    exit_code: as shells have it, 130 after Ctrl-C and 143 after SIGTERM
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise Interrupted in this task on the first signal; a second one ends the process at once."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    received: list[int] = []
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    # Not the loop's own handlers: it reads signals from the pipe by which threads wake it, and
    # loses one that comes while the pipe is full.
    def stop(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        # Not to what raises KeyboardInterrupt, wherever that may be by then.
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        if task is not None:
            loop.call_soon_threadsafe(task.cancel)

    for number in _SIGNALS:
        signal.signal(number, stop)
    try:
        yield
    except asyncio.CancelledError:
        if not received:
            raise
        raise Interrupted(received[0]) from None
    finally:
        for number, handler in before.items():
            if not received:
                signal.signal(number, handler)
