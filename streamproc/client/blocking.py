"""The client for programs without an event loop, and beside one that runs: for any thread."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, Coroutine, Iterable, Iterator
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeVar, overload

from streamproc.client.answer import Answer, Outcome, ResultT
from streamproc.client.async_client import CONCURRENCY, AsyncClient
from streamproc.client.connections import Connection
from streamproc.client.request_body import Asked
from streamproc.client.results import (
    ClassificationResult,
    EntitiesResult,
    GenerationResult,
    QuestionAnsweringResult,
    SummaryResult,
    TranslationResult,
)
from streamproc.messages.part_reader import TextPart

T = TypeVar("T")


class Client(Generic[ResultT]):
    """Asks requests of one task; a context manager, for any number of threads.

    It has an event loop on a thread of its own, and is otherwise as `AsyncClient`.
    """

    @overload
    def __init__(
        self: Client[ClassificationResult],
        task: Literal["text-classification"],
        connection: Connection,
    ) -> None: ...
    @overload
    def __init__(
        self: Client[EntitiesResult],
        task: Literal["token-classification"],
        connection: Connection,
    ) -> None: ...
    @overload
    def __init__(
        self: Client[QuestionAnsweringResult],
        task: Literal["question-answering"],
        connection: Connection,
    ) -> None: ...
    @overload
    def __init__(
        self: Client[TranslationResult],
        task: Literal["translation"],
        connection: Connection,
    ) -> None: ...
    @overload
    def __init__(
        self: Client[SummaryResult],
        task: Literal["summarization"],
        connection: Connection,
    ) -> None: ...
    @overload
    def __init__(
        self: Client[GenerationResult],
        task: Literal["text-generation"],
        connection: Connection,
    ) -> None: ...
    @overload
    def __init__(self: Client[dict[str, Any]], task: str, connection: Connection) -> None: ...
    def __init__(self, task: str, connection: Connection) -> None:
        self._client: AsyncClient[Any] = AsyncClient(task, connection)
        self._loop = _LoopThread()

    def __enter__(self) -> Self:
        """Raises OperatorError where there is no connection to be had."""
        self._loop.start()
        try:
            self._loop.result(self._client.__aenter__())
        except BaseException:
            self._loop.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._loop.result(self._client.__aexit__(kind, error, trace))
        finally:
            self._loop.stop()

    def ask(self, request: Asked, **params: Any) -> Answer[ResultT]:
        """The answer to one request; raises RequestError where there is none.

        params: of the task (docs/tasks.md), beside those that the request has
        """
        return self._loop.result(self._client.ask(request, **params))

    def ask_many(
        self, requests: Iterable[Asked], *, concurrency: int = CONCURRENCY, **params: Any
    ) -> Iterator[Outcome[ResultT]]:
        """The outcome of each request in their order, so many asked at a time.

        requests: read as they are needed, in the caller's thread
        One that has no answer has its error for an outcome, and the others go on.
        """
        waiting: deque[Future[Outcome[ResultT]]] = deque()
        try:
            for request in requests:
                waiting.append(self._loop.begin(self._client.outcome(request, **params)))
                if len(waiting) >= concurrency:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def stream(self, request: Asked, **params: Any) -> Iterator[TextPart | Answer[ResultT]]:
        """The parts of a text as it is written, and last the answer; for tasks that write.

        Raises RequestError, also behind parts.
        """
        return self._loop.each(self._client.stream(request, **params))


class _LoopThread:
    """An event loop that runs on a thread of its own."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = asyncio.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        started: Future[asyncio.AbstractEventLoop] = Future()
        # As a daemon, so that a program that forgets to leave its `with` block ends all the same.
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run(started)), name="streamproc-client", daemon=True
        )
        self._thread.start()
        self._loop = started.result()

    def stop(self) -> None:
        loop, self._loop = self._loop, None
        if loop is not None and self._thread is not None:
            loop.call_soon_threadsafe(self._stopped.set)
            self._thread.join()

    def begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        if self._loop is None:
            work.close()
            raise RuntimeError("a client asks inside of its `with` block")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def result(self, work: Coroutine[Any, Any, T]) -> T:
        future = self.begin(work)
        try:
            return future.result()
        except BaseException:
            # Of Ctrl-C nothing is known on the other thread.
            future.cancel()
            raise

    def each(self, items: AsyncGenerator[T, None]) -> Iterator[T]:
        async def following() -> tuple[T] | None:
            try:
                return (await anext(items),)
            except StopAsyncIteration:
                return None

        try:
            while found := self.result(following()):
                yield found[0]
        finally:
            if self._loop is not None:
                self.result(_closed(items))

    async def _run(self, started: Future[asyncio.AbstractEventLoop]) -> None:
        self._stopped.clear()
        started.set_result(asyncio.get_running_loop())
        await self._stopped.wait()


async def _closed(items: AsyncGenerator[Any, None]) -> None:
    await items.aclose()
