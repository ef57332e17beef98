"""Coroutines that run at the same time: how many, in which order, and how they end."""

from __future__ import annotations

import asyncio

import pytest

from streamproc.enrichment.together import run_few_together


class Work:
    """Counts who is under way; an item waits until it is let go."""

    def __init__(self) -> None:
        self.under_way: set[int] = set()
        self.begun: list[int] = []
        self.cancelled: set[int] = set()
        self.may_end = asyncio.Event()

    async def __call__(self, item: int) -> int:
        self.begun.append(item)
        self.under_way.add(item)
        try:
            await self.may_end.wait()
            # The later ones end first.
            for _ in range(10 - item % 10):
                await asyncio.sleep(0)
            if item < 0:
                raise ValueError(item)
            return item * 2
        except asyncio.CancelledError:
            self.cancelled.add(item)
            raise
        finally:
            self.under_way.discard(item)


async def until_idle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 50])
async def test_results_are_in_the_order_of_the_items(count: int) -> None:
    work = Work()
    work.may_end.set()

    assert await run_few_together(work, range(count), 3) == [item * 2 for item in range(count)]


async def test_no_more_than_so_many_are_begun_before_one_ends() -> None:
    work = Work()
    running = asyncio.create_task(run_few_together(work, range(9), 3))
    await until_idle()

    assert work.begun == [0, 1, 2]
    work.may_end.set()
    await running
    assert work.begun == list(range(9))


async def test_one_that_raises_ends_the_others_and_begins_no_more() -> None:
    work = Work()
    running = asyncio.create_task(run_few_together(work, [0, 1, -1, 3, 4, 5], 3))
    await until_idle()
    work.may_end.set()

    with pytest.raises(ValueError, match="-1"):
        await running
    assert work.cancelled
    begun = [*work.begun]
    await until_idle()
    assert (work.begun, work.under_way) == (begun, set())


async def test_all_end_where_who_waits_for_them_is_cancelled() -> None:
    work = Work()
    running = asyncio.create_task(run_few_together(work, range(9), 3))
    await until_idle()

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (work.cancelled, work.under_way) == ({0, 1, 2}, set())
    assert work.begun == [0, 1, 2]
