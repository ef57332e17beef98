from __future__ import annotations

import asyncio
from itertools import pairwise

from streamproc.messages.lane import Lane
from streamproc.serving.fairness import MOST_IN_A_TURN, FairTurns


async def test_bulk_goes_on_a_few_at_a_time_in_the_order_it_came() -> None:
    turns, done = FairTurns(), list[int]()

    async def work(number: int) -> None:
        await turns.turn(Lane.BULK)
        done.append(number)

    tasks = [asyncio.create_task(work(number)) for number in range(5 * MOST_IN_A_TURN)]
    seen = [0]
    while len(done) < len(tasks):
        await asyncio.sleep(0)
        seen.append(len(done))

    assert done == list(range(len(tasks)))
    assert max(after - before for before, after in pairwise(seen)) <= (MOST_IN_A_TURN)


async def test_interactive_waits_for_no_turn() -> None:
    turns, done = FairTurns(), list[Lane]()

    async def work(lane: Lane) -> None:
        await turns.turn(lane)
        done.append(lane)

    bulk = [asyncio.create_task(work(Lane.BULK)) for _ in range(5 * MOST_IN_A_TURN)]
    await asyncio.sleep(0)
    before = len(done)
    await work(Lane.INTERACTIVE)

    assert done[before:] == [Lane.INTERACTIVE]
    await asyncio.gather(*bulk)


async def test_who_is_cancelled_while_it_waits_takes_nobodys_turn() -> None:
    turns, done = FairTurns(), list[int]()

    async def work(number: int) -> None:
        await turns.turn(Lane.BULK)
        done.append(number)

    tasks = [asyncio.create_task(work(number)) for number in range(3 * MOST_IN_A_TURN)]
    await asyncio.sleep(0)
    leaving = tasks[MOST_IN_A_TURN : 2 * MOST_IN_A_TURN]
    for task in leaving:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert len(done) == 2 * MOST_IN_A_TURN
