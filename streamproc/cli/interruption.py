"""Ctrl-C and SIGTERM as an error like any other, so that what is open is closed with care."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


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

    def stop(number: int) -> None:
        received.append(number)
        _let_go(loop)
        # Not to what raises KeyboardInterrupt, wherever that may be by then.
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        if task is not None:
            task.cancel()

    for number in _SIGNALS:
        with suppress(NotImplementedError):  # on Windows
            loop.add_signal_handler(number, stop, number)
    try:
        yield
    except asyncio.CancelledError:
        if not received:
            raise
        raise Interrupted(received[0]) from None
    finally:
        _let_go(loop)
        for number, handler in before.items():
            if not received:
                signal.signal(number, handler)


def _let_go(loop: asyncio.AbstractEventLoop) -> None:
    for number in _SIGNALS:
        with suppress(NotImplementedError):
            loop.remove_signal_handler(number)
