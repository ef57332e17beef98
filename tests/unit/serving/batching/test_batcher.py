from __future__ import annotations

import asyncio

import pytest

from streamproc.clock import Timed
from streamproc.errors import OutOfMemory
from streamproc.messages.lane import Lane
from streamproc.serving.batching.batcher import SINCE_INTERACTIVE_S
from streamproc.testing import ManualClock
from tests.support.batch_runner import Runner, batcher_of, submitted, turns

INTERACTIVE, BULK = Lane.INTERACTIVE, Lane.BULK


async def test_what_is_submitted_in_one_turn_goes_in_one_batch_at_once() -> None:
    runner = Runner()
    batcher = batcher_of(runner)

    answers = await asyncio.gather(*(submitted(batcher, name) for name in "abcd"))

    assert [answer.result for answer in answers] == ["A", "B", "C", "D"]
    assert runner.batches == [(INTERACTIVE, ["a", "b", "c", "d"])]


async def test_one_alone_does_not_wait_for_others() -> None:
    runner = Runner()

    answer = await batcher_of(runner).submit("a", 2, INTERACTIVE)

    assert answer.result == "A"


async def test_a_batch_stays_within_the_budget_and_each_caller_gets_its_own_result() -> None:
    runner = Runner()
    batcher = batcher_of(runner)
    lengths = {"a": 1, "b": 5, "c": 1, "d": 4, "e": 9, "f": 1}

    answers = await asyncio.gather(*(submitted(batcher, n, t) for n, t in lengths.items()))

    assert [answer.result for answer in answers] == [name.upper() for name in lengths]
    for _, batch in runner.batches:
        assert len(batch) == 1 or len(batch) * max(lengths[name] for name in batch) <= 8


async def test_an_error_goes_to_the_callers_of_its_batch_and_to_no_others() -> None:
    runner = Runner(at_once=False)
    batcher = batcher_of(runner, budget_tokens=4)
    first = [submitted(batcher, name) for name in "ab"]
    await turns()
    second = [submitted(batcher, name) for name in "cd"]
    await turns()
    runner.error = OutOfMemory("broken")
    runner.release()
    failed = await asyncio.gather(*first, return_exceptions=True)

    runner.error = None
    runner.at_once = True
    while runner.under_way:
        runner.release()
    answered = await asyncio.gather(*second, return_exceptions=True)

    assert [str(error) for error in failed] == ["broken", "broken"]
    assert all(isinstance(answer, Timed) for answer in answered)


async def test_who_is_cancelled_while_waiting_is_taken_out() -> None:
    runner = Runner(at_once=False)
    batcher = batcher_of(runner, slots=1)
    running = [submitted(batcher, "a"), submitted(batcher, "b", lane=BULK)]
    await turns()
    leaving, staying = submitted(batcher, "c", lane=BULK), submitted(batcher, "d", lane=BULK)
    await turns()
    assert batcher.queued_tokens == 6

    leaving.cancel()
    await turns()
    assert batcher.queued_tokens == 4
    runner.at_once = True
    runner.release()
    await asyncio.gather(*running, staying)

    assert leaving.cancelled()
    assert "c" not in [name for _, batch in runner.batches for name in batch]


async def test_who_is_cancelled_in_a_running_batch_leaves_its_neighbours_their_results() -> None:
    runner = Runner(at_once=False)
    batcher = batcher_of(runner)
    leaving, staying = submitted(batcher, "a"), submitted(batcher, "b")
    await turns()

    leaving.cancel()
    await turns()
    runner.release()

    assert (await staying).result == "B"
    assert leaving.cancelled()


async def test_a_cancelled_caller_gives_its_room_back() -> None:
    runner = Runner(at_once=False)
    batcher = batcher_of(runner, max_queued_tokens=4)
    first = submitted(batcher, "a", 4)
    await turns()
    second = submitted(batcher, "b", 4)
    await turns()

    first.cancel()
    await turns()

    runner.at_once = True
    while runner.under_way:
        runner.release()
    assert (await second).result == "B"


async def test_a_batch_that_is_not_full_waits_for_more_when_it_is_told_to() -> None:
    runner, clock = Runner(), ManualClock()
    batcher = batcher_of(runner, clock, max_wait_ms=5)
    first = submitted(batcher, "a")
    await turns()
    assert runner.batches == []

    clock.advance(0.005)
    second = submitted(batcher, "b")
    await asyncio.gather(first, second)

    assert runner.batches == [(INTERACTIVE, ["a", "b"])]


async def test_a_full_batch_does_not_wait() -> None:
    runner = Runner()
    batcher = batcher_of(runner, ManualClock(), max_wait_ms=10_000)

    await asyncio.gather(*(submitted(batcher, name) for name in "abcd"))

    assert runner.batches == [(INTERACTIVE, ["a", "b", "c", "d"])]
    await batcher.close()


async def test_what_waits_goes_by_itself_once_its_time_is_over() -> None:
    class Running(ManualClock):
        def monotonic_s(self) -> float:
            self.advance(0.002)
            return super().monotonic_s()

    runner = Runner()

    answer = await batcher_of(runner, Running(), max_wait_ms=3).submit("a", 2, INTERACTIVE)

    assert answer.result == "A"


async def test_the_time_in_queue_and_in_the_model_are_told_apart() -> None:
    runner, clock = Runner(at_once=False), ManualClock()
    batcher = batcher_of(runner, clock)
    running = submitted(batcher, "a"), submitted(batcher, "x", lane=BULK)
    await turns()
    clock.advance(2)
    runner.release()
    await turns()
    clock.advance(3)
    runner.release()

    first, second = await asyncio.gather(*running)

    assert (first.queue_ms, first.run_ms) == pytest.approx((0, 2000))
    assert (second.queue_ms, second.run_ms) == pytest.approx((2000, 3000))


async def test_closing_waits_for_what_is_under_way() -> None:
    runner = Runner(at_once=False)
    batcher = batcher_of(runner)
    caller = submitted(batcher, "a")
    await turns()
    closing = asyncio.create_task(batcher.close())
    await turns()
    assert not closing.done()

    runner.release()
    await closing

    assert (await caller).result == "A"


async def test_bulk_batches_are_smaller_while_interactive_items_come_and_whole_again_then() -> None:
    runner, clock = Runner(), ManualClock()
    batcher = batcher_of(runner, clock, budget_tokens=16)

    async def bulk_batches() -> list[int]:
        runner.batches.clear()
        await asyncio.gather(*(submitted(batcher, name, lane=BULK) for name in "abcdefgh"))
        return [len(batch) for _, batch in runner.batches]

    assert await bulk_batches() == [8]
    # A canary comes alone, and is not followed by others.
    await submitted(batcher, "x")
    assert await bulk_batches() == [8]
    await submitted(batcher, "y")
    assert max(await bulk_batches()) == 3
    clock.advance(SINCE_INTERACTIVE_S)
    assert await bulk_batches() == [8]


async def test_one_that_comes_after_closing_waits_no_longer_than_any_other() -> None:
    batcher = batcher_of(Runner(), max_wait_ms=50)
    # A timer is set for the first, and is still there when the second fills the batch.
    first = submitted(batcher, "a", 4)
    await turns()
    await asyncio.gather(first, submitted(batcher, "b", 4))
    await batcher.close()

    async with asyncio.timeout(20):
        answer = await submitted(batcher, "c", 4)

    assert answer.result == "C"
