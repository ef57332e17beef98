"""Requests through Kafka, by `RequestClient`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any, Self

from streamproc.client.request_body import json_of
from streamproc.errors import OperatorError, RequestRefused, ServiceUnavailable, TooLarge
from streamproc.kafka.client import RequestClient
from streamproc.kafka.topics import load_topics
from streamproc.messages.client import ResponseBody
from streamproc.messages.lane import Lane
from streamproc.messages.part_reader import TextPart
from streamproc.settings import Settings


class KafkaTransport:
    """Asks on one task's topic."""

    def __init__(self, client: RequestClient) -> None:
        self._client = client

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, settings: Settings, task: str, lane: Lane, reply_topic: str | None, timeout_s: float
    ) -> AsyncIterator[Self]:
        """Raises OperatorError."""
        described = load_topics(settings.topics_dir).replies()
        async with RequestClient.of_task(
            settings,
            task,
            lane,
            reply_topic=reply_topic or next(iter(described), None),
            answer_timeout_s=timeout_s,
        ) as client:
            yield cls(client)

    async def ask(self, body: Mapping[str, Any]) -> ResponseBody:
        with _told_as_a_request_error():
            response, _ = await self._client.ask_json(json_of(body))
            return response

    async def stream(
        self, body: Mapping[str, Any]
    ) -> AsyncGenerator[TextPart | ResponseBody, None]:
        value = json_of(body)
        with _told_as_a_request_error():
            async with aclosing(self._client.stream_json(value)) as parts:
                async for part in parts:
                    yield part


@contextmanager
def _told_as_a_request_error() -> Iterator[None]:
    try:
        yield
    except TooLarge as error:
        raise RequestRefused("too-large", error.title, error.detail) from None
    except OperatorError as error:
        raise ServiceUnavailable("nobody-answers", "nobody answers", str(error)) from error
