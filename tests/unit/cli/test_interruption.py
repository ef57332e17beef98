"""A signal stops what can be interrupted, whatever the event loop has to do beside it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from streamproc.cli.interruption import Interrupted, interruptible


@pytest.fixture(autouse=True)
def handlers_as_they_were() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_not_lost_while_threads_keep_waking_the_loop(number: signal.Signals) -> None:
    async def answer() -> None:
        loop = asyncio.get_running_loop()
        waking = threading.Thread(
            target=lambda: [loop.call_soon_threadsafe(int) for _ in range(20_000)]
        )
        with interruptible():
            # The loop reads nothing meanwhile: its pipe is full when the signal comes.
            waking.start()
            waking.join()
            os.kill(os.getpid(), number)
            await asyncio.sleep(60)

    with pytest.raises(Interrupted) as stopped:
        asyncio.run(answer())
    assert stopped.value.exit_code == 128 + number


def test_what_ends_by_itself_leaves_the_handlers_that_were_there() -> None:
    async def answer() -> None:
        with interruptible():
            await asyncio.sleep(0)

    before = signal.getsignal(signal.SIGINT)
    asyncio.run(answer())
    assert signal.getsignal(signal.SIGINT) is before
