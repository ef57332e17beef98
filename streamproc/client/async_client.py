"""The client for programs with an event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from contextlib import AsyncExitStack, aclosing
from types import TracebackType
from typing import Any, Final, Generic, Literal, Self, overload

from streamproc.client.answer import Answer, Outcome, ResultT, answer_of
from streamproc.client.connections import Connection, Transport
from streamproc.client.request_body import Asked, body_of
from streamproc.client.results import (
    ClassificationResult,
    EntitiesResult,
    GenerationResult,
    QuestionAnsweringResult,
    SummaryResult,
    TranslationResult,
)
from streamproc.errors import RequestError
from streamproc.messages.part_reader import TextPart

CONCURRENCY: Final = 64


class AsyncClient(Generic[ResultT]):
    """Asks requests of one task, many at a time; an asynchronous context manager.

    connection: OverHttp(url) or OverKafka()
    """

    @overload
    def __init__(
        self: AsyncClient[ClassificationResult],
        task: Literal["text-classification"],
        connection: Connection,
    ) -> None: ...
    @overload
    def __init__(
        self: AsyncClient[EntitiesResult],
        task: Literal["token-classification"],
        connection: Connection,
    ) -> None: ...
    @overload
    def __init__(
        self: AsyncClient[QuestionAnsweringResult],
        task: Literal["question-answering"],
        connection: Connection,
    ) -> None: ...
    @overload
    def __init__(
        self: AsyncClient[TranslationResult],
        task: Literal["translation"],
        connection: Connection,
    ) -> None: ...
    @overload
    def __init__(
        self: AsyncClient[SummaryResult],
        task: Literal["summarization"],
        connection: Connection,
    ) -> None: ...
    @overload
    def __init__(
        self: AsyncClient[GenerationResult],
        task: Literal["text-generation"],
        connection: Connection,
    ) -> None: ...
    @overload
    def __init__(self: AsyncClient[dict[str, Any]], task: str, connection: Connection) -> None: ...
    def __init__(self, task: str, connection: Connection) -> None:
        self.task = task
        self._connection = connection
        self._transport: Transport | None = None
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Raises OperatorError where there is no connection to be had."""
        self._transport = await self._open.enter_async_context(self._connection.open(self.task))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._transport = None
        await self._open.aclose()

    async def ask(self, request: Asked, **params: Any) -> Answer[ResultT]:
        """The answer to one request; raises RequestError where there is none.

        params: of the task (docs/tasks.md), beside those that the request has
        """
        return answer_of(await self._opened.ask(body_of(request, params)))

    async def ask_many(
        self, requests: Iterable[Asked], *, concurrency: int = CONCURRENCY, **params: Any
    ) -> AsyncGenerator[Outcome[ResultT], None]:
        """The outcome of each request in their order, so many asked at a time.

        One that has no answer has its error for an outcome, and the others go on.
        """
        waiting: deque[asyncio.Task[Outcome[ResultT]]] = deque()
        try:
            for request in requests:
                waiting.append(asyncio.create_task(self.outcome(request, **params)))
                if len(waiting) >= concurrency:
                    yield await waiting.popleft()
            while waiting:
                yield await waiting.popleft()
        finally:
            for task in waiting:
                task.cancel()

    async def outcome(self, request: Asked, **params: Any) -> Outcome[ResultT]:
        """The answer to one request, or the error that says why there is none."""
        try:
            return await self.ask(request, **params)
        except RequestError as error:
            return error

    async def stream(
        self, request: Asked, **params: Any
    ) -> AsyncGenerator[TextPart | Answer[ResultT], None]:
        """The parts of a text as it is written, and last the answer; for tasks that write.

        Raises RequestError, also behind parts.
        """
        async with aclosing(self._opened.stream(body_of(request, params))) as parts:
            async for part in parts:
                yield part if isinstance(part, TextPart) else answer_of(part)

    @property
    def _opened(self) -> Transport:
        if self._transport is None:
            raise RuntimeError("a client asks inside of its `with` block")
        return self._transport
