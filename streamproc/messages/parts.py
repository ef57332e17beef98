"""Parts of an answer's text, published while it is written: before the response, and beside it.

A part is for whoever shows a text as it comes; the response has all of it, and is what counts. So
nothing waits for parts but the response, which comes behind them, and one that can't be stored only
ends them.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import structlog

from streamproc.messages.record import ProducerRecord

PART: Final = "streamproc-part"
"""The header that tells a part from a response; its value is the sequence number."""
MAX_PART_CHARACTERS: Final = 16_384
"""In JSON no more than a tenth of a mebibyte, which any topic takes."""
MAX_UNSTORED_PARTS: Final = 8
"""Parts on their way to the broker at a time; what comes meanwhile is merged into the next."""

HandOver = Callable[[ProducerRecord], Awaitable[Awaitable[bool]]]
"""Returns once the record is among those to be sent, in the order of the calls, with what says
whether the broker has stored it; it is tried once."""

Note = Callable[[bool], object]
"""Told of each part whether the broker has stored it."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of an answer's text.

    attempt: the same for all parts of one try to answer; another one begins anew
    sequence: from 0 in each attempt
    """

    attempt: str
    sequence: int
    text: str


class PartPublisher:
    """Publishes the parts of one request; an asynchronous context manager.

    At its end all parts are handed over; where it is left by an error, the rest is dropped.
    """

    def __init__(
        self,
        record_of: Callable[[Part], ProducerRecord],
        hand_over: HandOver,
        note: Note | None = None,
    ) -> None:
        self._record_of = record_of
        self._hand_over = hand_over
        self._note = note
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[str] = deque()
        self._unstored: set[asyncio.Future[bool]] = set()
        self._sending: asyncio.Task[None] | None = None
        # Of the attempt that is heard; None before the first and after the last.
        self._attempt: str | None = None
        self._sequence = 0
        self._is_whole = True

    def begin(self) -> Callable[[str], None]:
        """Begin an attempt, and what takes its texts from any thread; the one before has ended."""
        self._attempt = uuid.uuid4().hex[:12]
        self._sequence, self._is_whole = 0, True
        # Of its own, as a thread may still be writing for an attempt that was given up.
        waiting = self._waiting = deque()

        def show(text: str) -> None:
            waiting.append(text)
            self._loop.call_soon_threadsafe(self._send)

        return show

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._send()
                if self._sending is not None:
                    await self._sending
            elif self._sending is not None:
                self._sending.cancel()
                await asyncio.wait({self._sending})
        finally:
            # Also where the wait was cancelled: what follows is the response, and no part.
            self._attempt, self._waiting = None, deque()

    def _send(self) -> None:
        if self._waiting and (self._sending is None or self._sending.done()):
            self._sending = self._loop.create_task(self._send_all())

    async def _send_all(self) -> None:
        """Hand over what waits, as few parts as it fits, until nothing does."""
        while self._waiting:
            await self._has_room()
            attempt, text = self._attempt, self._taken()
            for start in range(0, len(text), MAX_PART_CHARACTERS):
                await self._has_room()
                # What follows a part that was lost is no use to a reader, who waits for the rest.
                if attempt is None or attempt != self._attempt or not self._is_whole:
                    break
                part = Part(attempt, self._sequence, text[start : start + MAX_PART_CHARACTERS])
                self._sequence += 1
                await self._hand(part)

    def _noted(self, *, is_stored: bool) -> None:
        if self._note is not None:
            self._note(is_stored)

    def _taken(self) -> str:
        texts = []
        while self._waiting:
            texts.append(self._waiting.popleft())
        return "".join(texts)

    async def _has_room(self) -> None:
        while len(self._unstored) >= MAX_UNSTORED_PARTS:
            await asyncio.wait(self._unstored, return_when=asyncio.FIRST_COMPLETED)

    async def _hand(self, part: Part) -> None:
        try:
            stored = asyncio.ensure_future(await self._hand_over(self._record_of(part)))
        except Exception:  # the request must not fail of it
            log.exception("part of an answer not sent")
            self._is_whole = False
            self._noted(is_stored=False)
            return
        self._unstored.add(stored)

        def settle(done: asyncio.Future[bool]) -> None:
            self._unstored.discard(done)
            is_stored = not done.cancelled() and done.exception() is None and done.result()
            self._noted(is_stored=is_stored)
            if part.attempt == self._attempt:
                self._is_whole &= is_stored

        stored.add_done_callback(settle)
