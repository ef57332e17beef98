"""Server-sent events: how one is written, and the response that they come by."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Final

from starlette.responses import StreamingResponse

from streamproc.messages.json_spans import on_one_line

MEDIA_TYPE: Final = "text/event-stream"
# Whoever stands between keeps nothing, and passes each event on at once.
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def event(data: bytes, name: bytes | None = None) -> bytes:
    """One event; data: a JSON text, which is put on one line."""
    return b"%bdata: %b\n\n" % (b"event: %b\n" % name if name else b"", on_one_line(data))


def event_response(events: AsyncIterable[bytes]) -> StreamingResponse:
    """What sends each event as it comes."""
    return StreamingResponse(events, headers=_HEADERS, media_type=MEDIA_TYPE)
