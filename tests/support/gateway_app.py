"""The gateway's application without Kafka: models in this process answer, or nobody does."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from streamproc.clock import Clock
from streamproc.errors import BrokerUnavailable, Invalid
from streamproc.kafka.reply_client import Reply
from streamproc.kafka.topics import load_topics
from streamproc.messages.record import Headers
from streamproc.settings import Settings
from streamproc.settings.gateway import GatewaySettings
from streamproc.web.gateway.app import build_app
from streamproc.worker.local_client import LocalClient


class LocalReplies:
    """Ensembles of a folder, each task's asked as a worker asks them.

    missing: why nobody can be asked; asked: the headers of each request
    """

    def __init__(self, models: Path, *tasks: str) -> None:
        self._settings = Settings(models_dir=models, threads=1, device="cpu")
        self._tasks = tasks
        topics = load_topics(self._settings.topics_dir)
        self._task_of = {topic.name: topic.task for topic in topics.requests()}
        self._clients: dict[str, LocalClient] = {}
        self._open = AsyncExitStack()
        self.missing: str | None = None
        self.asked: list[Headers] = []
        self.answered = 0
        self._more = asyncio.Condition()
        self.hold: asyncio.Event | None = None

    async def __aenter__(self) -> Self:
        for task in self._tasks:
            opening = LocalClient.of_task(self._settings, task)
            self._clients[task] = await self._open.enter_async_context(opening)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._open.aclose()

    async def were_asked(self, count: int) -> None:
        """Returns once so many requests have come."""
        async with self._more:
            await self._more.wait_for(lambda: len(self.asked) >= count)

    def not_ready(self) -> list[str]:
        return [] if self.missing is None else [self.missing]

    def trouble_of(self, topic: str) -> str | None:
        return None if self._task_of[topic] in self._clients else f"no worker reads {topic}"

    async def ask(self, topic: str, value: bytes, *, key: bytes, headers: Headers = ()) -> Reply:
        if self.missing is not None:
            raise BrokerUnavailable(self.missing)
        self.asked.append(headers)
        async with self._more:
            self._more.notify_all()
        if self.hold is not None:
            await self.hold.wait()
        try:
            _, text = await self._clients[self._task_of[topic]].ask_json(value, headers=headers)
        except Invalid as error:
            raise AssertionError("a gateway sends nothing without an id") from error
        self.answered += 1
        return Reply(text, ())

    async def stream(
        self, topic: str, value: bytes, *, key: bytes, headers: Headers = ()
    ) -> AsyncGenerator[Reply, None]:
        """The response alone, as of a worker that publishes no parts."""
        yield await self.ask(topic, value, key=key, headers=headers)


def gateway_app(
    models: Path, replies: LocalReplies, clock: Clock | None = None, **settings: Any
) -> FastAPI:
    """The application; settings: of a gateway. Its page looks for Kafka, so there is none but by
    `page`, and then it finds none."""
    return build_app(
        Settings(models_dir=models, kafka_bootstrap_servers="127.0.0.1:1"),
        GatewaySettings(**{"page": "off", **settings}),
        client=replies,
        clock=clock,
    )


@asynccontextmanager
async def asking(app: FastAPI, host: str = "127.0.0.1") -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, without a network."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url=f"http://{host}", timeout=60) as client,
    ):
        yield client


@contextmanager
def listening(app: ASGIApp, http: Any = "h11") -> Iterator[str]:
    """The application behind a real server on any free port; yields its address.

    http: uvicorn's protocol
    """
    with socket.create_server(("127.0.0.1", 0)) as bound:
        server = uvicorn.Server(
            uvicorn.Config(app, http=http, ws="none", log_config=None, access_log=False)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        try:
            give_up_at = time.monotonic() + 120
            while not server.started:
                assert thread.is_alive(), "the application did not start"
                assert time.monotonic() < give_up_at, "the application did not start in time"
                time.sleep(0.05)
            yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(60)
