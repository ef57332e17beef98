"""Texts as server-sent events while they are written, in the words of each API."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final, Protocol

import orjson
from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from streamproc.kafka.topics import RequestTopic
from streamproc.messages.json_spans import on_one_line
from streamproc.messages.part_reader import TextPart
from streamproc.web.gateway.gateway import Gateway, carried_headers, while_connected
from streamproc.web.gateway.preferences import read_preferences
from streamproc.web.gateway.problems import GatewayProblem

MEDIA_TYPE: Final = "text/event-stream"
# Whoever stands between keeps nothing, and passes each event on at once.
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class EventShape(Protocol):
    """How an API says what comes of a request; each says the bytes of one event or more."""

    def part(self, part: TextPart) -> bytes:
        """The next part; raises GatewayProblem where it can't be said."""
        ...

    def end(self, response: bytes) -> bytes:
        """The response, which is the last."""
        ...

    def error(self, problem: GatewayProblem) -> bytes:
        """Why there is no response, behind parts."""
        ...


class OwnEvents:
    """`part` with {text, replaces?}; then `response`, or `error` with a problem of RFC 9457."""

    def part(self, part: TextPart) -> bytes:
        said: dict[str, Any] = {"text": part.text}
        if part.replaces:
            said["replaces"] = True
        return event(orjson.dumps(said), b"part")

    def end(self, response: bytes) -> bytes:
        return event(response, b"response")

    def error(self, problem: GatewayProblem) -> bytes:
        return event(problem.outcome.body, b"error")


def event(data: bytes, name: bytes | None = None) -> bytes:
    """One event; data: a JSON text, which is put on one line."""
    return b"%bdata: %b\n\n" % (b"event: %b\n" % name if name else b"", on_one_line(data))


def accepts_events(request: Request) -> bool:
    """Whether the caller wants server-sent events."""
    ranges = ",".join(request.headers.getlist("accept")).split(",")
    return any(one.partition(";")[0].strip().lower() == MEDIA_TYPE for one in ranges)


async def event_stream(
    gateway: Gateway, request: Request, topic: RequestTopic, body: bytes, shape: EventShape
) -> Response:
    """The answer to a request, event by event; what fails before the first one is raised.

    Raises GatewayProblem.
    """
    gateway.admit(request, [body])
    items = gateway.asker.stream(
        topic,
        body,
        wait_s=gateway.wait_s(read_preferences(request.headers.getlist("prefer"))),
        headers=carried_headers(request),
    )
    try:
        first = await while_connected(request.receive, _first(items))
    except BaseException:
        await items.aclose()
        raise
    return StreamingResponse(events(first, items, shape), headers=_HEADERS, media_type=MEDIA_TYPE)


def refuse_replacement(part: TextPart) -> None:
    """Raise GatewayProblem for what an API that only adds to a text has no way to say."""
    if part.replaces:
        raise GatewayProblem(
            "begun-anew", "another attempt came to another text than was shown; ask again"
        )


async def events(
    first: TextPart | bytes, items: AsyncGenerator[TextPart | bytes, None], shape: EventShape
) -> AsyncGenerator[bytes, None]:
    """The body of a response: an event for each item, and at the end one at most for an error."""
    # Who leaves closes this, and with it what is still asked of Kafka.
    async with aclosing(items):
        try:
            yield _said(first, shape)
            async for item in items:
                yield _said(item, shape)
        except GatewayProblem as problem:
            yield shape.error(problem)


def _said(item: TextPart | bytes, shape: EventShape) -> bytes:
    return shape.part(item) if isinstance(item, TextPart) else shape.end(item)


async def _first(items: AsyncGenerator[TextPart | bytes, None]) -> TextPart | bytes:
    return await anext(items)
