from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

import pytest

from streamproc.offline.bulk.ask_each import ask_each
from streamproc.offline.bulk.request_rows import RequestRow


def rows(count: int, size: int = 10) -> list[RequestRow]:
    return [RequestRow(number, str(number), b"x" * size) for number in range(1, count + 1)]


def size_bytes(row: RequestRow) -> int:
    return len(row.value or b"")


class Answerer:
    """Answers a row once its number is let go."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.more = asyncio.Event()
        self._gates: dict[int, asyncio.Event] = {}

    async def __call__(self, row: RequestRow) -> int:
        self.asked.append(row.number)
        self.more.set()
        await self._gate(row.number).wait()
        return row.number

    def let_go(self, *numbers: int) -> None:
        for number in numbers:
            self._gate(number).set()

    async def has_asked(self, count: int) -> None:
        async with asyncio.timeout(30):
            while len(self.asked) < count:
                self.more.clear()
                await self.more.wait()

    def _gate(self, number: int) -> asyncio.Event:
        return self._gates.setdefault(number, asyncio.Event())


async def given(answers: AsyncGenerator[int, None], count: int) -> list[int]:
    return [await anext(answers) for _ in range(count)]


async def test_answers_come_in_the_order_of_rows_however_they_end() -> None:
    ask = Answerer()
    async with aclosing(ask_each(rows(4), ask, 4)) as answers:
        first = asyncio.create_task(given(answers, 4))
        await ask.has_asked(4)
        ask.let_go(4, 2, 3, 1)

        assert await first == [1, 2, 3, 4]


async def test_answers_come_as_they_end_where_order_is_not_wanted() -> None:
    ask = Answerer()
    ask.let_go(3)
    async with aclosing(ask_each(rows(4), ask, 4, in_order=False)) as answers:
        assert await given(answers, 1) == [3]
        ask.let_go(2)
        assert await given(answers, 1) == [2]
        ask.let_go(1, 4)
        assert sorted(await given(answers, 2)) == [1, 4]


@pytest.mark.parametrize(("outstanding", "size"), [(3, None), (100, 30)])
async def test_no_more_rows_are_asked_at_once_than_there_is_room_for(
    outstanding: int, size: int | None
) -> None:
    ask = Answerer()
    asking = ask_each(
        rows(9), ask, outstanding, in_order=False, outstanding_bytes=size, size_bytes=size_bytes
    )
    async with aclosing(asking) as answers:
        consuming = asyncio.create_task(given(answers, 9))
        for number in range(1, 7):
            # That many, and none beyond: it would be among them.
            await ask.has_asked(number + 2)
            assert ask.asked == list(range(1, number + 3))
            ask.let_go(number)
        ask.let_go(7, 8, 9)
        assert len(await consuming) == 9


async def test_a_row_larger_than_the_room_is_asked_alone() -> None:
    ask = Answerer()
    ask.let_go(1, 2, 3)
    async with aclosing(
        ask_each(rows(3, size=100), ask, 9, outstanding_bytes=30, size_bytes=size_bytes)
    ) as answers:
        assert await given(answers, 3) == [1, 2, 3]


async def test_a_slow_reader_keeps_no_answer_waiting() -> None:
    more = threading.Event()

    def slowly() -> Iterator[RequestRow]:
        yield from rows(2)
        more.wait(30)
        yield RequestRow(3, "3", b"x")

    ask = Answerer()
    ask.let_go(1, 2, 3)
    async with aclosing(ask_each(slowly(), ask, 9)) as answers:
        assert await given(answers, 2) == [1, 2]
        more.set()
        assert await given(answers, 1) == [3]


async def test_what_was_read_before_a_fault_is_answered_before_it_is_raised() -> None:
    def broken() -> Iterator[RequestRow]:
        yield from rows(3)
        raise OSError("no more")

    ask = Answerer()
    ask.let_go(1, 2, 3)
    async with aclosing(ask_each(broken(), ask, 9)) as answers:
        assert await given(answers, 3) == [1, 2, 3]
        with pytest.raises(OSError, match="no more"):
            await anext(answers)


async def test_requests_under_way_are_cancelled_when_nobody_waits_any_more() -> None:
    ended: list[int] = []

    async def ask(row: RequestRow) -> int:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(row.number)
        return row.number

    answers = ask_each(rows(3), ask, 9)
    waiting = asyncio.create_task(given(answers, 1))
    await asyncio.sleep(0.05)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await answers.aclose()

    assert sorted(ended) == [1, 2, 3]
