"""Server-sent events as they come (https://html.spec.whatwg.org/#server-sent-events)."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass

_BLANK = b""


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """name: "message" where it has none; data: its lines, joined."""

    name: str
    data: str


async def server_sent_events(chunks: AsyncIterable[bytes]) -> AsyncIterator[ServerSentEvent]:
    """The events in a body; one that is not whole at its end is left out, as the standard says."""
    name, data = "", list[str]()
    async for line in _lines(chunks):
        if line == _BLANK:
            if data:
                yield ServerSentEvent(name or "message", "\n".join(data))
            name, data = "", []
            continue
        field, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)


async def _lines(chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Without their ends: "\\n", "\\r\\n" or "\\r"."""
    parts, after_return = list[bytes](), False
    async for chunk in chunks:
        if after_return and chunk.startswith(b"\n"):
            chunk = chunk[1:]  # noqa: PLW2901 - the second half of an end that was cut
        if not chunk:
            continue
        after_return = chunk.endswith(b"\r")
        *ended, rest = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for line in ended:
            yield b"".join((*parts, line))
            parts.clear()
        if rest:
            parts.append(rest)
