"""Rows asked, many at a time, and their answers given out in order or as they come."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from threading import Condition, Thread
from typing import Any, Generic, TypeVar

Row = TypeVar("Row")
Answer = TypeVar("Answer")


async def ask_each(
    rows: Iterable[Row],
    ask: Callable[[Row], Awaitable[Answer]],
    outstanding: int,
    *,
    in_order: bool = True,
    outstanding_bytes: int | None = None,
    size_bytes: Callable[[Row], int] = lambda _: 0,
) -> AsyncGenerator[Answer, None]:
    """The answers to rows, in their order or as they come.

    outstanding: rows that are asked and whose answers were not given out, at most
    outstanding_bytes: of these rows, at most, or one row that is larger
    size_bytes: of a row
    A fault in reading is raised once what was read before is answered.
    """
    room = _Room(outstanding, outstanding_bytes)
    events: asyncio.Queue[_Read[Row] | _End | asyncio.Future[Answer]] = asyncio.Queue()
    put = partial(_put, asyncio.get_running_loop(), events)
    reading = _Reading(rows, size_bytes, room, put)
    places: dict[asyncio.Future[Answer], _Read[Row]] = {}
    ready: dict[int, tuple[Answer, int]] = {}
    given = 0
    end: _End | None = None
    reading.start()
    try:
        while end is None or places:
            event = await events.get()
            if isinstance(event, _End):
                end = event
                continue
            if isinstance(event, _Read):
                asked = asyncio.ensure_future(ask(event.row))
                places[asked] = event
                asked.add_done_callback(events.put_nowait)
                continue
            read = places.pop(event)
            ready[read.place] = event.result(), read.size_bytes
            while ready and (not in_order or given in ready):
                answer, size = ready.pop(given) if in_order else ready.popitem()[1]
                given += 1
                room.give_back(size)
                yield answer
        if end.error is not None:
            raise end.error
    finally:
        reading.stop()
        for task in places:
            task.cancel()
        await asyncio.gather(*places, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class _Read(Generic[Row]):
    """A row, its place from 0, and its size."""

    place: int
    row: Row
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _End:
    """There are no more rows; error: why, unless all were read."""

    error: BaseException | None


class _Room:
    """How many rows may be asked at a time, and how many bytes of them."""

    def __init__(self, rows: int, size: int | None) -> None:
        self._rows, self._size = rows, size
        self._taken_rows, self._taken = 0, 0
        self._changed = Condition()

    def take(self, size: int) -> None:
        """Wait until there is room for a row; one alone always has room."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_room(size))
            self._taken_rows += 1
            self._taken += size

    def give_back(self, size: int) -> None:
        with self._changed:
            self._taken_rows -= 1
            self._taken -= size
            self._changed.notify()

    def open_for_good(self) -> None:
        """Let nobody wait any longer."""
        with self._changed:
            self._rows, self._size = sys.maxsize, None
            self._changed.notify()

    def _has_room(self, size: int) -> bool:
        if self._size is not None and self._taken and self._taken + size > self._size:
            return False
        return self._taken_rows < self._rows


class _Reading(Generic[Row]):
    """Rows read by a thread of its own, as a pipe may keep a reader waiting, but not answers."""

    def __init__(
        self,
        rows: Iterable[Row],
        size_bytes: Callable[[Row], int],
        room: _Room,
        put: Callable[[_Read[Row] | _End], None],
    ) -> None:
        self._rows, self._size_bytes, self._room, self._put = rows, size_bytes, room, put
        self._stopped = False

    def start(self) -> None:
        # As a daemon: nothing wakes it up while a pipe has nothing to read.
        Thread(target=self._read, name="rows", daemon=True).start()

    def stop(self) -> None:
        self._stopped = True
        self._room.open_for_good()

    def _read(self) -> None:
        error = None
        try:
            for place, row in enumerate(self._rows):
                size_bytes = self._size_bytes(row)
                self._room.take(size_bytes)
                if self._stopped:
                    return
                self._put(_Read(place, row, size_bytes))
        except BaseException as found:  # noqa: BLE001 - whoever awaits answers must learn of it
            error = found
        self._put(_End(error))


def _put(loop: asyncio.AbstractEventLoop, events: asyncio.Queue[Any], event: object) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(events.put_nowait, event)
