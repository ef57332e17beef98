"""Calls that nobody waits for any more, as after a request's deadline."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from streamproc.clock import SystemClock
from streamproc.errors import MemberDown, MemberLate
from streamproc.serving.guarded_calls import GuardedCalls
from streamproc.serving.inference.executor import ModelExecutor
from streamproc.serving.member_health import MemberHealth


@pytest.fixture
async def one() -> AsyncIterator[ModelExecutor]:
    """An executor of one thread."""
    executor = ModelExecutor(1)
    yield executor
    executor.close()


def calls_of(executor: ModelExecutor, timeout_s: float = 30.0) -> GuardedCalls:
    health = MemberHealth("tiny", ["a"], 1, SystemClock())
    return GuardedCalls("a", executor, timeout_s, health, took=lambda _: None)


async def cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()


async def test_one_that_waits_for_a_thread_is_not_made(one: ModelExecutor) -> None:
    begun, release, made = threading.Event(), threading.Event(), list[str]()

    def hold(_: Any) -> None:
        begun.set()
        assert release.wait(20)

    calls = calls_of(one)
    holding = asyncio.create_task(calls.make(hold, 0))
    await asyncio.to_thread(begun.wait, 20)
    waiting = asyncio.create_task(calls.make(lambda _: made.append("cancelled"), 0))
    await asyncio.sleep(0)
    await cancelled(waiting)
    release.set()
    await holding
    await calls.make(lambda _: made.append("next"), 0)

    assert made == ["next"]


async def test_what_one_comes_to_that_was_cancelled_is_no_warning(one: ModelExecutor) -> None:
    begun, release, told = threading.Event(), threading.Event(), list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))

    def fail(_: Any) -> None:
        begun.set()
        assert release.wait(20)
        raise ValueError

    calls = calls_of(one)
    running = asyncio.create_task(calls.make(fail, 0))
    await asyncio.to_thread(begun.wait, 20)
    await cancelled(running)
    release.set()
    await asyncio.wait(calls._under_way)
    # It would be told of when nobody refers to it any more.
    del running
    gc.collect()

    assert told == []


async def test_one_that_runs_is_told_to_end(one: ModelExecutor) -> None:
    begun, ended = threading.Event(), threading.Event()

    def obedient(call: Any) -> None:
        begun.set()
        for _ in range(20_000):
            if call.terminate:
                ended.set()
                return
            threading.Event().wait(0.001)

    running = asyncio.create_task(calls_of(one).make(obedient, 0))
    await asyncio.to_thread(begun.wait, 20)
    await cancelled(running)

    assert await asyncio.to_thread(ended.wait, 20)


async def test_one_that_hangs_is_late_all_the_same_and_its_thread_replaced(
    one: ModelExecutor,
) -> None:
    begun, release = threading.Event(), threading.Event()

    def hang(_: Any) -> None:
        begun.set()
        assert release.wait(20)

    calls = calls_of(one, timeout_s=0.05)
    hanging = asyncio.create_task(calls.make(hang, 0))
    await asyncio.to_thread(begun.wait, 20)
    await cancelled(hanging)

    assert await asyncio.wait_for(calls_of(one).make(lambda _: "another member", 0), 20)
    with pytest.raises(MemberDown, match="has not returned"):
        await calls.make(lambda _: "the same member", 0)
    release.set()


async def test_one_that_hangs_is_told_of_though_a_later_one_returned() -> None:
    executor, health = ModelExecutor(2), MemberHealth("tiny", ["a"], 1, SystemClock())
    calls = GuardedCalls("a", executor, 0.05, health, took=lambda _: None)
    never, slow, returned = threading.Event(), threading.Event(), threading.Event()

    def hang(_: Any) -> None:
        assert never.wait(20)

    def come_late(_: Any) -> None:
        assert slow.wait(20)
        returned.set()

    first = asyncio.create_task(calls.make(hang, 0))
    second = asyncio.create_task(calls.make(come_late, 0))
    await asyncio.wait({first, second})
    try:
        assert [type(one.exception()) for one in (first, second)] == [MemberLate, MemberLate]
        slow.set()
        assert await asyncio.to_thread(returned.wait, 20)
        with pytest.raises(MemberDown, match="has not returned"):
            await calls.make(lambda _: "next", 0)
        assert health.hung() is not None
    finally:
        never.set()
        executor.close()
