from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from streamproc.caching.single_flight import SingleFlight


class Calls:
    """Counts calls, each of which waits until the test lets it go, and how many run at a time."""

    def __init__(self, result: Callable[[int], int] = lambda number: number) -> None:
        self.made = 0
        self.at_a_time = 0
        self._running = 0
        self._result = result
        self.go = asyncio.Event()

    async def __call__(self) -> int:
        self.made += 1
        number = self.made
        self._running += 1
        self.at_a_time = max(self.at_a_time, self._running)
        try:
            await self.go.wait()
            return self._result(number)
        finally:
            self._running -= 1


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_calls_for_one_thing_at_one_time_are_one_call() -> None:
    flights, calls = SingleFlight[int](), Calls()
    asking = [asyncio.create_task(flights.ask("a", calls, bool)) for _ in range(100)]
    await settled()
    calls.go.set()

    found = await asyncio.gather(*asking)

    assert calls.made == 1
    assert [is_joined for _, is_joined in found].count(False) == 1
    assert {result for result, _ in found} == {1}


async def test_other_things_are_called_for_beside_it_and_the_same_again_later() -> None:
    flights, calls = SingleFlight[int](), Calls()
    calls.go.set()

    first = await asyncio.gather(*(flights.ask(key, calls, bool) for key in "abc"))
    again = await flights.ask("a", calls, bool)

    assert sorted(result for result, _ in first) == [1, 2, 3]
    assert again == (4, False)


async def test_of_a_result_that_may_not_be_shared_everybody_gets_their_own_at_once() -> None:
    flights, calls = SingleFlight[int](), Calls()
    asking = [
        asyncio.create_task(flights.ask("a", calls, lambda result: result > 1)) for _ in range(10)
    ]
    await settled()
    assert calls.made == 1
    calls.go.set()

    found = await asyncio.gather(*asking)

    assert sorted(result for result, _ in found) == list(range(1, 11))
    assert not any(is_joined for _, is_joined in found)


async def test_a_failure_is_nobody_elses() -> None:
    def fails_first(number: int) -> int:
        if number == 1:
            raise ValueError("no")
        return number

    flights, calls = SingleFlight[int](), Calls(fails_first)
    asking = [asyncio.create_task(flights.ask("a", calls, bool)) for _ in range(5)]
    await settled()
    calls.go.set()

    first, *others = await asyncio.gather(*asking, return_exceptions=True)

    assert isinstance(first, ValueError)
    assert sorted(others) == [(number, False) for number in range(2, 6)]  # type: ignore[type-var]


async def test_where_the_first_is_cancelled_the_next_one_calls_for_all() -> None:
    flights, calls = SingleFlight[int](), Calls()
    first, *others = (asyncio.create_task(flights.ask("a", calls, bool)) for _ in range(5))
    await settled()

    first.cancel()
    await settled()
    calls.go.set()
    found = await asyncio.gather(*others)

    assert first.cancelled()
    assert calls.made == 2
    assert calls.at_a_time == 1
    assert {result for result, _ in found} == {2}


async def test_who_waits_and_is_cancelled_takes_nobody_along() -> None:
    flights, calls = SingleFlight[int](), Calls()
    first, second, third = (asyncio.create_task(flights.ask("a", calls, bool)) for _ in range(3))
    await settled()

    second.cancel()
    await settled()
    calls.go.set()

    assert (await first, await third) == ((1, False), (1, True))
    with pytest.raises(asyncio.CancelledError):
        await second
