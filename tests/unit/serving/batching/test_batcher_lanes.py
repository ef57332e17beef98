from __future__ import annotations

import asyncio

import pytest

from streamproc.messages.lane import Lane
from tests.support.batch_runner import Runner, batcher_of, submitted, turns

INTERACTIVE, BULK = Lane.INTERACTIVE, Lane.BULK


async def test_while_all_slots_are_taken_items_gather_into_one_batch() -> None:
    runner = Runner(at_once=False)
    # With room for them in the share that bulk has of it beside interactive items.
    batcher = batcher_of(runner, slots=1, budget_tokens=24)
    callers = [submitted(batcher, "a"), submitted(batcher, "x", lane=BULK)]
    await turns()
    for name in "bcd":
        callers.append(submitted(batcher, name, lane=BULK))
        await turns()
    assert runner.batches == [(INTERACTIVE, ["a"])]

    runner.at_once = True
    runner.release()
    await asyncio.gather(*callers)

    assert runner.batches[1:] == [(BULK, ["x", "b", "c", "d"])]


async def test_a_slot_is_kept_for_the_interactive_lane() -> None:
    runner = Runner(at_once=False)
    batcher = batcher_of(runner, slots=2, budget_tokens=2)
    callers = [submitted(batcher, name, lane=BULK) for name in "abc"]
    await turns()
    assert runner.batches == [(BULK, ["a"]), (BULK, ["b"])]

    callers.append(submitted(batcher, "now"))
    await turns()
    assert runner.batches[2:] == [(INTERACTIVE, ["now"])]

    runner.at_once = True
    for _ in range(3):
        runner.release()
    await asyncio.gather(*callers)


async def test_interactive_goes_before_bulk_that_came_first() -> None:
    runner = Runner(at_once=False)
    batcher = batcher_of(runner, budget_tokens=2)
    callers = [submitted(batcher, "x", lane=BULK)]
    await turns()
    callers += [submitted(batcher, name, lane=BULK) for name in "yz"]
    callers += [submitted(batcher, name) for name in "ab"]
    await turns()
    runner.at_once = True
    runner.release()
    while runner.under_way:
        runner.release()
    await asyncio.gather(*callers)

    assert [name for _, (name,) in runner.batches] == ["x", "a", "b", "y", "z"]


@pytest.mark.parametrize("slots", [1, 2, 4])
async def test_bulk_is_not_starved_by_interactive_that_never_ends(slots: int) -> None:
    runner = Runner(at_once=False)
    batcher = batcher_of(runner, slots=slots, budget_tokens=2)
    waiting = [submitted(batcher, f"i{number}") for number in range(100)]
    waiting += [submitted(batcher, f"b{number}", lane=BULK) for number in range(3)]
    await turns()

    for _ in range(60):
        runner.release()
        await turns(3)

    lanes = [lane for lane, _ in runner.batches[:60]]
    assert 2 <= lanes.count(BULK) <= 5
    runner.at_once = True
    while runner.under_way:
        runner.release()
    await asyncio.gather(*waiting)


async def test_interactive_now_and_then_never_waits_behind_a_backlog_of_bulk() -> None:
    runner = Runner(at_once=False)
    batcher = batcher_of(runner, slots=2, budget_tokens=2)
    callers = [submitted(batcher, f"b{number}", lane=BULK) for number in range(80)]
    await turns()
    for number in range(40):
        callers.append(submitted(batcher, f"i{number}"))
        await turns(3)
        assert runner.batches[-1] == (INTERACTIVE, [f"i{number}"])
        runner.under_way.pop().set()
        runner.release()
        await turns(3)

    runner.at_once = True
    while runner.under_way:
        runner.release()
    await asyncio.gather(*callers)


async def test_callers_wait_while_their_lane_is_full_and_the_other_lane_does_not() -> None:
    runner = Runner(at_once=False)
    batcher = batcher_of(runner, budget_tokens=2, max_queued_tokens=4)
    bulk = [submitted(batcher, name, lane=BULK) for name in "abcdef"]
    await turns()
    interactive = submitted(batcher, "now")
    await turns()

    assert batcher.queued_tokens <= 4
    assert runner.batches == [(BULK, ["a"]), (INTERACTIVE, ["now"])]
    runner.at_once = True
    while runner.under_way:
        runner.release()
    answers = await asyncio.gather(*bulk, interactive)
    assert [answer.result for answer in answers] == ["A", "B", "C", "D", "E", "F", "NOW"]
    assert batcher.queued_tokens == 0
