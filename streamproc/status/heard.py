"""What the workers of a group say of something, once they have, or time is up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar

from streamproc.clock import SystemClock
from streamproc.messages.worker_state import WorkerState
from streamproc.settings import Settings
from streamproc.status.feed import StatusFeed

LOOK_EVERY_S: Final = 0.2


class Told(Protocol):
    """waiting: the workers that have not said anything about it yet"""

    @property
    def waiting(self) -> tuple[str, ...]: ...


ToldT = TypeVar("ToldT", bound=Told)


async def heard(
    settings: Settings, look: Callable[[Sequence[WorkerState], int], ToldT], wait_s: float
) -> ToldT:
    """What `look` makes of the workers' states once it waits for nobody, or after so many seconds.

    look: is given the last state of each worker, and the time in milliseconds
    """
    clock = SystemClock()
    end_s = clock.monotonic_s() + wait_s
    async with StatusFeed(settings, clock) as feed:
        while True:
            found = look(feed.states(), clock.now_ms())
            if not found.waiting or clock.monotonic_s() > end_s:
                return found
            await clock.sleep(LOOK_EVERY_S)
