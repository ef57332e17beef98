"""Rows of a file asked, many at a time, and their answers given out in order or as they come."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from threading import Condition, Thread
from typing import Any, TypeVar

from streamproc.cli.rows import RequestRow
from streamproc.clock import Clock
from streamproc.messages.outgoing import as_json
from streamproc.messages.record import Record
from streamproc.messages.request import read_request
from streamproc.pipeline import Pipeline
from streamproc.settings import Settings

Response = dict[str, Any]
Answer = TypeVar("Answer")


def asking(
    pipeline: Pipeline, settings: Settings, clock: Clock, source: str
) -> Callable[[RequestRow], Awaitable[Response]]:
    """Asks a pipeline in this process; source: where the rows come from, as it is told."""

    async def ask(row: RequestRow) -> Response:
        if row.value is None:
            return refused(row)
        record = Record(source, 0, row.number, clock.now_ms(), None, row.value)
        request = read_request(record, settings.max_message_bytes)
        response = await pipeline.answer(record, request)
        if response is None:
            raise AssertionError("a row that is a JSON object always has an id")
        return {**as_json(response), "id": row.id}

    return ask


def refused(row: RequestRow) -> Response:
    """The answer to a row that is no request."""
    title = "not a row" if row.fault_type == "unreadable" else "invalid request"
    error = {"type": row.fault_type, "title": title, "detail": row.fault}
    return {"id": row.id, "status": "error", "error": error}


async def ask_each(
    rows: Iterable[RequestRow],
    ask: Callable[[RequestRow], Awaitable[Answer]],
    outstanding: int,
    *,
    in_order: bool = True,
    outstanding_bytes: int | None = None,
) -> AsyncGenerator[Answer, None]:
    """The answers to rows, in their order or as they come.

    outstanding: rows that are asked and whose answers were not given out, at most
    outstanding_bytes: of these rows, at most, or one row that is larger
    A fault in reading is raised once what was read before is answered.
    """
    room = _Room(outstanding, outstanding_bytes)
    events: asyncio.Queue[_Read | asyncio.Future[Answer]] = asyncio.Queue()
    reading = _Reading(rows, room, partial(_put, asyncio.get_running_loop(), events))
    places: dict[asyncio.Future[Answer], _Read] = {}
    ready: dict[int, tuple[Answer, int]] = {}
    given, end = 0, None
    reading.start()
    try:
        while end is None or places:
            event = await events.get()
            if isinstance(event, _Read):
                if event.row is None:
                    end = event
                else:
                    asked = asyncio.ensure_future(ask(event.row))
                    places[asked] = event
                    asked.add_done_callback(events.put_nowait)
                continue
            read = places.pop(event)
            ready[read.place] = event.result(), read.size
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
class _Read:
    """What the reader came to: a row and its place from 0, or with none the end, and why."""

    place: int
    row: RequestRow | None = None
    error: BaseException | None = None

    @property
    def size(self) -> int:
        """Bytes of the row."""
        return len(self.row.value or b"") if self.row else 0


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


class _Reading:
    """Rows read by a thread of its own, as a pipe may keep a reader waiting, but not answers."""

    def __init__(
        self, rows: Iterable[RequestRow], room: _Room, put: Callable[[_Read], None]
    ) -> None:
        self._rows, self._room, self._put = rows, room, put
        self._stopped = False

    def start(self) -> None:
        # As a daemon: nothing wakes it up while a pipe has nothing to read.
        Thread(target=self._read, name="rows", daemon=True).start()

    def stop(self) -> None:
        self._stopped = True
        self._room.open_for_good()

    def _read(self) -> None:
        place, error = 0, None
        try:
            for place, row in enumerate(self._rows):
                read = _Read(place, row)
                self._room.take(read.size)
                if self._stopped:
                    return
                self._put(read)
        except BaseException as found:  # noqa: BLE001 - whoever awaits answers must learn of it
            error = found
        self._put(_Read(place, None, error))


def _put(loop: asyncio.AbstractEventLoop, events: asyncio.Queue[Any], event: _Read) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(events.put_nowait, event)
