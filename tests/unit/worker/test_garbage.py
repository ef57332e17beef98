from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from streamproc.testing import ManualClock
from streamproc.worker.garbage import (
    LITTLE,
    LOOK_EVERY_S,
    MOST_PUT_OFF_S,
    bounded_collections,
    collect_at_leisure,
)


class Knot:
    """Is reached by nothing but itself."""

    def __init__(self) -> None:
        self.itself = self


def old_knot() -> weakref.ref[Knot]:
    """One that only a full collection finds."""
    knot = Knot()
    gc.collect(1)
    return weakref.ref(knot)


async def look(seconds: float, in_flight: int) -> None:
    """Let so much time go by."""
    collecting = asyncio.create_task(collect_at_leisure(lambda: in_flight, ManualClock()))
    for _ in range(int(seconds / LOOK_EVERY_S) + 1):
        await asyncio.sleep(0)
    collecting.cancel()
    await asyncio.wait({collecting})


def test_models_are_out_of_the_collectors_sight_until_the_end() -> None:
    before = gc.get_threshold()
    with bounded_collections():
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == before


def test_a_collector_that_rested_while_models_were_loaded_goes_on() -> None:
    gc.disable()
    try:
        with bounded_collections():
            assert gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("seconds", "in_flight", "is_left"),
    [
        (2 * LOOK_EVERY_S, LITTLE, False),
        (MOST_PUT_OFF_S - 2 * LOOK_EVERY_S, LITTLE + 1, True),
        (MOST_PUT_OFF_S + 2 * LOOK_EVERY_S, LITTLE + 1, False),
    ],
)
async def test_old_garbage_is_collected_once_little_is_in_flight_or_it_has_waited_long(
    seconds: float, in_flight: int, is_left: bool
) -> None:
    with bounded_collections():
        knot = old_knot()
        await look(seconds, in_flight)
        assert (knot() is not None) == is_left
