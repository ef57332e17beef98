from __future__ import annotations

import asyncio
import sys
import threading
import weakref
from collections.abc import AsyncIterator

import pytest

from streamproc.errors import WorkerFault
from streamproc.serving.inference.executor import ModelExecutor
from tests.support.priorities import Priorities

LONG_S = 30.0
SHORT_S = 0.02


class Gate:
    """A call that says when it has begun, and ends when it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.open = threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        assert self.open.wait(10)
        return "through"

    async def until_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, 10)


@pytest.fixture
async def one() -> AsyncIterator[ModelExecutor]:
    """An executor of one thread."""
    executor = ModelExecutor(1)
    yield executor
    executor.close()


async def test_a_call_runs_on_another_thread_and_gives_its_result(one: ModelExecutor) -> None:
    assert await one.run(threading.get_ident, 0, LONG_S) != threading.get_ident()


async def test_what_a_call_raises_is_raised_to_who_awaits_it(one: ModelExecutor) -> None:
    with pytest.raises(ZeroDivisionError):
        await one.run(lambda: 1 // 0, 0, LONG_S)

    assert await one.run(lambda: "still there", 0, LONG_S) == "still there"


async def test_a_thread_that_waits_does_not_keep_what_its_last_call_came_to(
    one: ModelExecutor,
) -> None:
    class Large:
        pass

    kept = weakref.ref(await one.run(Large, 0, LONG_S))

    for _ in range(1_000):
        if kept() is None:
            break
        await asyncio.sleep(0.005)
    assert kept() is None


async def test_calls_are_taken_by_priority_and_then_by_age(one: ModelExecutor) -> None:
    gate, order = Gate(), list[str]()
    first = asyncio.create_task(one.run(gate, 1, LONG_S))
    await gate.until_begun()
    later = []
    for name, priority in [("b1", 1), ("i1", 0), ("b2", 1), ("i2", 0)]:
        call = one.run(lambda name=name: order.append(name), priority, LONG_S)  # type: ignore[misc]
        later.append(asyncio.create_task(call))
        await asyncio.sleep(0)

    gate.open.set()
    await asyncio.gather(first, *later)

    assert order == ["i1", "i2", "b1", "b2"]


async def test_as_many_calls_run_at_once_as_there_are_threads() -> None:
    executor, meeting = ModelExecutor(3), threading.Barrier(3)

    places = await asyncio.gather(
        *(executor.run(lambda: meeting.wait(10), 0, LONG_S) for _ in range(3))
    )

    executor.close()
    assert sorted(places) == [0, 1, 2]


async def test_a_call_that_runs_too_long_is_late_and_another_thread_takes_its_place(
    one: ModelExecutor,
) -> None:
    gate = Gate()

    with pytest.raises(TimeoutError):
        await one.run(gate, 0, SHORT_S)

    assert await one.run(lambda: "next", 0, LONG_S) == "next"
    gate.open.set()


async def test_a_thread_whose_call_comes_back_late_ends_so_that_threads_stay_as_many() -> None:
    executor, gate, hung = ModelExecutor(1), Gate(), list[threading.Thread]()

    def hang() -> str:
        hung.append(threading.current_thread())
        return gate()

    with pytest.raises(TimeoutError):
        await executor.run(hang, 0, SHORT_S)
    gate.open.set()

    await asyncio.to_thread(hung[0].join, 10)
    assert not hung[0].is_alive()
    assert await executor.run(lambda: "next", 0, LONG_S) == "next"
    executor.close()


async def test_waiting_for_a_thread_does_not_count_as_running(one: ModelExecutor) -> None:
    gate = Gate()
    first = asyncio.create_task(one.run(gate, 0, LONG_S))
    await gate.until_begun()
    second = asyncio.create_task(one.run(lambda: "in time", 0, 0.1))

    # Longer than the second call's whole time.
    await asyncio.sleep(0.11)
    gate.open.set()

    assert [await first, await second] == ["through", "in time"]


async def test_closing_cancels_what_waits_and_lets_what_runs_finish() -> None:
    executor, gate = ModelExecutor(1), Gate()
    running = asyncio.create_task(executor.run(gate, 0, LONG_S))
    await gate.until_begun()
    waiting = asyncio.create_task(executor.run(lambda: "never", 0, LONG_S))
    await asyncio.sleep(0)

    executor.close()
    gate.open.set()

    assert await running == "through"
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_call_after_closing_is_refused_rather_than_left_waiting() -> None:
    executor = ModelExecutor(1)
    executor.close()

    with pytest.raises(WorkerFault, match="shutting down"):
        await asyncio.wait_for(executor.run(lambda: "never", 0, LONG_S), 5)


def test_an_executor_is_closed_though_a_call_waits_whose_loop_has_ended() -> None:
    executor, gate = ModelExecutor(1), Gate()

    async def begin_two() -> None:
        running = asyncio.ensure_future(executor.run(gate, 0, LONG_S))
        await gate.until_begun()
        waiting = asyncio.ensure_future(executor.run(lambda: "late", 0, LONG_S))
        await asyncio.sleep(0)
        for call in (running, waiting):
            call.cancel()

    asyncio.run(begin_two())

    executor.close()
    gate.open.set()
    executor.join()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a priority per thread")
@pytest.mark.parametrize(
    ("priorities", "niceness"),
    [
        (Priorities(0), 5),
        (Priorities(5), 5),
        (Priorities(19), 19),
        (Priorities(0, may_raise=False), 0),
    ],
    ids=["raised", "the same", "not lowered", "forbidden"],
)
async def test_a_thread_runs_calls_whatever_priority_it_may_have(
    priorities: Priorities, niceness: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    priorities.take_effect(monkeypatch)
    executor = ModelExecutor(1)

    async with asyncio.timeout(20):
        assert await executor.run(priorities.own, 0, LONG_S) == niceness
    executor.close()
    executor.join()
