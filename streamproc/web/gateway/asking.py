"""A request through Kafka and back, as HTTP has it: capacity, waiting, and what goes wrong."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, contextmanager
from typing import Any, Final, TypeVar

import orjson

from streamproc.clock import Clock
from streamproc.errors import BrokerUnavailable, TooLarge
from streamproc.kafka.background import beside
from streamproc.kafka.reply_client import Replies, Reply
from streamproc.kafka.topics import RequestTopic
from streamproc.messages.part_reader import TEXTS, PartReader, TextPart, part_of, text_of
from streamproc.messages.record import Headers
from streamproc.messages.streaming_request import with_parts
from streamproc.messages.strict_json import parse
from streamproc.settings.gateway import GatewaySettings
from streamproc.web.gateway.problems import (
    RETRY_AFTER_S,
    AnsweredWithError,
    GatewayProblem,
    Outcome,
)
from streamproc.web.gateway.request_value import request_value

Each = TypeVar("Each")
NOBODY_RETRY_AFTER_S: Final = 5
AT_ONCE: Final = 64
"""Requests of one list that are on their way at a time."""


class Asker:
    """Asks requests of any task; many at a time, within the settings' bounds."""

    def __init__(self, client: Replies, settings: GatewaySettings, clock: Clock) -> None:
        self._client = client
        self._settings = settings
        self._clock = clock
        self._count = 0
        self._bytes = 0
        self._heard_at_s: dict[str, float] = {}

    @property
    def in_flight(self) -> int:
        """Requests on their way."""
        return self._count

    async def outcome(
        self, topic: RequestTopic, body: bytes, *, wait_s: float, headers: Headers = ()
    ) -> Outcome:
        """What one request came to; raises nothing that a caller caused.

        body:   its JSON object
        wait_s: the longest that it may take; a request that has no deadline of its own gets this
                one, so that no model works for a caller who is gone
        """
        try:
            return as_outcome(await self.response(topic, body, wait_s=wait_s, headers=headers))
        except GatewayProblem as problem:
            return problem.outcome

    async def outcomes(
        self, topic: RequestTopic, bodies: Sequence[bytes], *, wait_s: float, headers: Headers = ()
    ) -> list[Outcome]:
        """The outcome of each of several requests, as it would have been alone, in their order."""

        async def ask(body: bytes, left_s: float) -> Outcome:
            return await self.outcome(topic, body, wait_s=left_s, headers=headers)

        return await self._in_turns(bodies, wait_s, ask)

    async def responses(
        self, topic: RequestTopic, bodies: Sequence[bytes], *, wait_s: float, headers: Headers = ()
    ) -> list[bytes]:
        """The responses to several requests, in their order.

        Raises GatewayProblem for the first that gets none; the others are given up.
        """

        async def ask(body: bytes, left_s: float) -> bytes:
            return await self.response(topic, body, wait_s=left_s, headers=headers)

        return await self._in_turns(bodies, wait_s, ask)

    async def _in_turns(
        self, bodies: Sequence[bytes], wait_s: float, ask: Callable[[bytes, float], Awaitable[Each]]
    ) -> list[Each]:
        """So many at a time, so that a list leaves room for others; all of them within `wait_s`."""
        turns, ends_at_s = asyncio.Semaphore(AT_ONCE), self._clock.monotonic_s() + wait_s

        async def one(body: bytes) -> Each:
            async with turns:
                return await ask(body, max(0.001, ends_at_s - self._clock.monotonic_s()))

        asking = [asyncio.create_task(one(body)) for body in bodies]
        try:
            return await asyncio.gather(*asking)
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)

    async def response(
        self, topic: RequestTopic, body: bytes, *, wait_s: float, headers: Headers = ()
    ) -> bytes:
        """The JSON text of the response to one request; raises GatewayProblem."""
        request_id = uuid.uuid4().hex
        value = request_value(body, request_id, max(1, round(wait_s * 1000)))
        with self._counted(topic, len(value)):
            asking = self._client.ask(topic.name, value, key=request_id.encode(), headers=headers)
            reply = await self._within(wait_s, topic, wait_s, asking)
        return reply.value

    async def stream(
        self, topic: RequestTopic, body: bytes, *, wait_s: float, headers: Headers = ()
    ) -> AsyncGenerator[TextPart | bytes, None]:
        """The parts of a text as it is written, and last the JSON text of the response.

        Of a task that writes no text the response alone. Raises GatewayProblem, also behind parts.
        Whoever does not take them holds no place among those on their way for longer than `wait_s`.
        """
        request_id, reader = uuid.uuid4().hex, PartReader()
        value = request_value(body, request_id, max(1, round(wait_s * 1000)))
        if topic.task in TEXTS:
            value = with_parts(value)
        ends_at_s = self._clock.monotonic_s() + wait_s
        asking = self._client.stream(topic.name, value, key=request_id.encode(), headers=headers)
        on_its_way, taking = AsyncExitStack(), asyncio.Lock()
        async with on_its_way, beside(_close_in_time(on_its_way, wait_s, taking)):
            on_its_way.enter_context(self._counted(topic, len(value)))
            replies = await on_its_way.enter_async_context(aclosing(asking))
            while True:
                async with taking:
                    left_s = max(0.0, ends_at_s - self._clock.monotonic_s())
                    reply = await self._within(left_s, topic, wait_s, anext(replies))
                if not reply.is_part:
                    break
                if text := reader.take(part_of(fields_of(reply.value))):
                    yield TextPart(text)
        response = fields_of(reply.value)
        if topic.task in TEXTS and (rest := reader.end(text_of(response))):
            yield rest
        yield reply.value

    async def _within(
        self, left_s: float, topic: RequestTopic, wait_s: float, work: Awaitable[Reply]
    ) -> Reply:
        """A reply that comes in time; wait_s: how long the request may take in all."""
        asked_at_s = self._clock.monotonic_s() + left_s - wait_s
        try:
            async with asyncio.timeout(left_s):
                reply = await work
        except BrokerUnavailable as error:
            raise _kafka_away(str(error)) from None
        except TooLarge as error:
            raise GatewayProblem("body-too-large", error.detail) from None
        # A stream that was closed, as its time was up while nobody took its parts, says no more.
        except (TimeoutError, StopAsyncIteration):
            raise self._no_answer(topic, asked_at_s, wait_s) from None
        self._heard_at_s[topic.name] = self._clock.monotonic_s()
        return reply

    def _no_answer(self, topic: RequestTopic, asked_at_s: float, wait_s: float) -> GatewayProblem:
        """Whether all wait in vain, or this request alone takes long."""
        missing = self._client.not_ready()
        if missing:
            return _kafka_away("; ".join(missing))
        waited = f"{wait_s:g} s"
        if self._heard_at_s.get(topic.name, 0.0) >= asked_at_s:
            return GatewayProblem(
                "timed-out",
                f"others were answered meanwhile, this request was not within {waited}; ask with "
                "`Prefer: wait=N` for more seconds, or with `Prefer: respond-async`",
                retry_after_s=RETRY_AFTER_S,
            )
        return GatewayProblem(
            "nobody-answers",
            f"nothing was answered on {topic.name} for {waited}; is a `streamproc worker` running "
            f"that serves {topic.task}, or is all of it behind a backlog?",
            retry_after_s=NOBODY_RETRY_AFTER_S,
        )

    @contextmanager
    def _counted(self, topic: RequestTopic, size_bytes: int) -> Iterator[None]:
        trouble, settings = self._client.trouble_of(topic.name), self._settings
        if trouble is not None:
            raise _kafka_away(f"{topic.name}: {trouble}")
        full = (
            self._count >= settings.max_in_flight
            or self._bytes + size_bytes > settings.max_in_flight_bytes
        )
        # A request that is larger than all there may be goes when nothing else is on its way.
        if full and self._count:
            raise GatewayProblem(
                "busy",
                f"{self._count} requests are on their way; come again",
                retry_after_s=RETRY_AFTER_S,
            )
        self._count += 1
        self._bytes += size_bytes
        try:
            yield
        finally:
            self._count -= 1
            self._bytes -= size_bytes


async def _close_in_time(on_its_way: AsyncExitStack, wait_s: float, taking: asyncio.Lock) -> None:
    """Gives back what a stream holds though nobody takes its parts, as where a socket is full."""
    await asyncio.sleep(wait_s)
    # A reply that is waited for at the moment has a time-out of its own.
    async with taking:
        await on_its_way.aclose()


def as_outcome(response: bytes) -> Outcome:
    """A response as HTTP says it; raises AnsweredWithError where it is an error."""
    fields_of(response)
    return Outcome(200, response)


def fields_of(response: bytes) -> dict[str, Any]:
    """A response's fields, out of its CloudEvent where it is in one.

    Raises AnsweredWithError where it is an error.
    """
    try:
        fields = parse(response)
    except orjson.JSONDecodeError:
        fields = None
    if isinstance(fields, dict) and "specversion" in fields:
        fields = fields.get("data")
    if not isinstance(fields, dict):
        raise GatewayProblem("kafka-away", "what came as an answer is none: not a JSON object")
    error = fields.get("error")
    if error is not None:
        raise AnsweredWithError(error, response)
    return fields


def _kafka_away(reason: str) -> GatewayProblem:
    return GatewayProblem("kafka-away", reason, retry_after_s=RETRY_AFTER_S)
