"""When Python looks for cycles: the event loop stands still while it does.

A request leaves none behind where nothing goes wrong. A full collection looks through all that is
in flight, which behind a backlog took a tenth of a second; it is put off until little is, and not
for ever.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from streamproc.clock import Clock

THRESHOLDS: Final = (2_000, 10, 1_000_000)
"""The third as good as never comes: full collections are made below."""
LOOK_EVERY_S: Final = 5.0
MOST_PUT_OFF_S: Final = 60.0
LITTLE: Final = 64
"""Requests in flight, for which a full collection takes a few milliseconds."""


@contextmanager
def bounded_collections() -> Iterator[None]:
    """Within the block the collector looks through what is new, and nothing else by itself.

    Models and libraries stay until the end, so not even a full collection looks through them. Who
    loads them may have told the collector to rest meanwhile.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    gc.enable()
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


async def collect_at_leisure(in_flight: Callable[[], int], clock: Clock) -> None:
    """Make the full collections: while little is in flight, or once a minute all the same."""
    collected_at_s = clock.monotonic_s()
    while True:
        await clock.sleep(LOOK_EVERY_S)
        now_s = clock.monotonic_s()
        is_due = in_flight() <= LITTLE or now_s - collected_at_s >= MOST_PUT_OFF_S
        # The third counts how often what came through an earlier collection was added to the rest.
        if is_due and gc.get_count()[2]:
            gc.collect()
            collected_at_s = now_s
