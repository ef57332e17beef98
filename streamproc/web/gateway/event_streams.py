"""Texts as server-sent events while they are written, in the words of each API."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Protocol

import orjson
from fastapi import Request, Response

from streamproc.kafka.topics import RequestTopic
from streamproc.messages.part_reader import TextPart
from streamproc.web.gateway.error_shapes import said_to
from streamproc.web.gateway.gateway import Gateway, carried_headers, while_connected
from streamproc.web.gateway.preferences import read_preferences
from streamproc.web.gateway.problems import GatewayProblem
from streamproc.web.server_sent_events import MEDIA_TYPE, event, event_response


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


class AddedText(ABC):
    """Of APIs whose events can only add to a text, with errors in the words of the API.

    path: that was asked
    """

    def __init__(self, path: str) -> None:
        self._path = path

    @abstractmethod
    def added(self, text: str) -> bytes:
        """The event of what was written on."""

    @abstractmethod
    def end(self, response: bytes) -> bytes:
        """The response, which is the last."""

    def part(self, part: TextPart) -> bytes:
        """The next part; raises GatewayProblem where it takes back what was said."""
        if part.replaces:
            raise GatewayProblem(
                "begun-anew", "another attempt came to another text than was shown; ask again"
            )
        return self.added(part.text)

    def error(self, problem: GatewayProblem) -> bytes:
        """Why there is no response."""
        return event(said_to(self._path, problem).body)


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
    return event_response(events(first, items, shape))


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
