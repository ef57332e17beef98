"""HTTP/1.1 by uvicorn, with headers that have to come in time, and refusals in the server's words.

uvicorn alone waits for headers without end, for what is left of a body that was answered before it
came, and for a caller who does not read his answer; it says what is no request as plain text.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

NOT_HTTP: Final = 400
TOO_SLOW: Final = 408
TOO_LARGE: Final = 431
LINGER_S: Final = 1.0
"""For so long what a refused caller still sends is taken, or it would not read why."""
LINGER_BYTES: Final = 1_048_576
"""And so much of it: a second is long for who sends all that he can."""

Refusal = Callable[[int], tuple[bytes, str]]
"""The body and the media type that say why there was no request, by one of the three statuses."""


def bounded_http(header_s: float, refusal: Refusal) -> Callable[..., H11Protocol]:
    """What uvicorn takes as `http`.

    header_s: the longest that headers may take to arrive, and a body behind its answer; and half of
        the longest that nothing may be read of an answer
    """
    return partial(_BoundedHttp, header_s=header_s, refusal=refusal)


class _BoundedHttp(H11Protocol):
    """One connection."""

    def __init__(self, *args: Any, header_s: float, refusal: Refusal, **options: Any) -> None:
        super().__init__(*args, **options)
        self._header_s = header_s
        self._refusal = refusal
        self._waiting: asyncio.TimerHandle | None = None
        self._waits_for: type | None = None
        self._is_refused = False
        self._passed_over = 0
        self._reading: asyncio.TimerHandle | None = None
        self._is_paused = False
        self._unread = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()
        self._reading = self.loop.call_later(self._header_s, self._look_whether_read)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_waiting()
        if self._reading is not None:
            self._reading.cancel()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._is_paused = True

    def resume_writing(self) -> None:
        super().resume_writing()
        self._is_paused, self._unread = False, 0

    def data_received(self, data: bytes) -> None:
        if not self._is_refused:
            super().data_received(data)
            return
        self._passed_over += len(data)
        if self._passed_over > LINGER_BYTES:
            self.transport.abort()

    def handle_events(self) -> None:
        super().handle_events()
        self._watch()

    def send_400_response(self, msg: str) -> None:
        # It is called where the error was caught, which is not handed over.
        error = sys.exc_info()[1]
        self._refuse(TOO_LARGE if getattr(error, "error_status_hint", 0) == TOO_LARGE else NOT_HTTP)

    def _watch(self) -> None:
        """Headers are waited for unless a request has come, or the last answer is long gone; and
        so is what is left of a body that was answered already, as without a key."""
        waits_for: type | None = self.conn.their_state
        is_behind = waits_for is h11.SEND_BODY and self.conn.our_state is h11.DONE
        is_awaited = waits_for is h11.IDLE or is_behind
        if not is_awaited or self._is_refused or self.timeout_keep_alive_task is not None:
            waits_for = None
        if waits_for is self._waits_for:
            return
        self._stop_waiting()
        if waits_for is not None:
            self._waits_for = waits_for
            self._waiting = self.loop.call_later(self._header_s, self._give_up)

    def _look_whether_read(self) -> None:
        """Nothing is added while writing is paused, and behind a close: what is left gets less, or
        nobody reads it."""
        is_ending = self._is_paused or self.transport.is_closing()
        left = self.transport.get_write_buffer_size() if is_ending else 0
        if self._unread and left >= self._unread:
            self.transport.abort()
            return
        self._unread = left
        self._reading = self.loop.call_later(self._header_s, self._look_whether_read)

    def _stop_waiting(self) -> None:
        self._waits_for = None
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        self._stop_waiting()
        if self.transport.is_closing():
            return
        received, _ = self.conn.trailing_data
        if received:
            self._refuse(TOO_SLOW)
        else:
            self.transport.close()

    def _refuse(self, status: int) -> None:
        self._is_refused = True
        if not getattr(self.cycle, "response_complete", True):
            # What was asked before is not answered any more: nobody could tell the two apart.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.close()
            return
        body, media_type = self._refusal(status)
        headers = [
            ("content-type", media_type),
            ("content-length", str(len(body))),
            ("connection", "close"),
        ]
        response = h11.Response(status_code=status, headers=headers, reason=STATUS_PHRASES[status])
        for event in (response, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)
