"""A connection of a client whose transport answers as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from streamproc.client.connections import Transport
from streamproc.messages.client import ResponseBody
from streamproc.messages.part_reader import TextPart


class Scripted:
    """A Connection and its Transport in one.

    asked: the requests so far; most: how many were asked at a time at most; is_open, closed_streams
    """

    def __init__(self, answer: Callable[[Mapping[str, Any]], ResponseBody]) -> None:
        self._answer = answer
        self.asked: list[Mapping[str, Any]] = []
        self.is_open = False
        self.closed_streams = 0
        self.most = self._now = 0

    @asynccontextmanager
    async def open(self, task: str) -> AsyncIterator[Transport]:
        self.is_open = True
        try:
            yield self
        finally:
            self.is_open = False

    async def ask(self, body: Mapping[str, Any]) -> ResponseBody:
        self.asked.append(body)
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            # Later requests are answered sooner.
            await asyncio.sleep(0.02 / len(self.asked))
            return self._answer(body)
        finally:
            self._now -= 1

    async def stream(
        self, body: Mapping[str, Any]
    ) -> AsyncGenerator[TextPart | ResponseBody, None]:
        self.asked.append(body)
        try:
            response = self._answer(body)
            for letter in response["result"]["generated_text"] if "result" in response else "ab":
                yield TextPart(letter)
            yield response
        finally:
            self.closed_streams += 1


def echoed(body: Mapping[str, Any]) -> ResponseBody:
    """A response that has the text of its request; `error: TYPE` is answered with that error."""
    text = body["text"]
    if text.startswith("error: "):
        kind = text.removeprefix("error: ")
        error: Any = {"type": kind, "title": "no", "detail": f"text: {kind}"}
        return {"id": "i", "task": "text-generation", "status": "error", "error": error}
    result = {"generated_text": text, "finish_reason": "stop"}
    return {"id": "i", "task": "text-generation", "status": "ok", "result": result}
