"""The page's application: its files, what they ask, and the stream that keeps them up to date."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from streamproc.clock import Clock
from streamproc.errors import OperatorError, WorkerFault
from streamproc.settings import Settings
from streamproc.status.live import LiveStatus
from streamproc.web.page.guard import Guard
from streamproc.web.page.letters_api import letter_routes
from streamproc.web.page.playground_api import Admit, Ask, playground_routes
from streamproc.web.page.responses import json_response
from streamproc.web.server_sent_events import event, event_response

STATIC: Final = Path(__file__).parent / "static"
EVENT_INTERVAL_S: Final = 2.0
MOST_STREAMS: Final = 64


def build_page(
    settings: Settings,
    status: LiveStatus,
    ask: Ask,
    clock: Clock,
    *,
    local_only: bool,
    admit: Admit | None = None,
) -> Starlette:
    """The application, to be served by itself or mounted under any path.

    status: entered and left by the caller
    ask: how the playground gets answers
    local_only: answer to names of this machine alone, as nobody is asked who they are
    admit: counts what the playground asks; None: nobody counts it
    Raises TopicsError where no topics are described.
    """
    streams = asyncio.Semaphore(MOST_STREAMS)

    async def index(_: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    async def picture(_: Request) -> Response:
        return json_response(status.picture())

    async def events(_: Request) -> Response:
        if streams.locked():
            raise HTTPException(503, f"{MOST_STREAMS} pages are open already")

        async def stream() -> AsyncIterator[bytes]:
            async with streams:
                more = True
                while more:
                    yield event(orjson.dumps(status.picture()))
                    more = await status.next_turn(EVENT_INTERVAL_S)

        return event_response(stream())

    return Starlette(
        routes=[
            Route("/", index),
            Route("/api/status", picture),
            Route("/api/events", events),
            *letter_routes(settings, clock),
            *playground_routes(settings, ask, admit),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[Middleware(Guard, local_only=local_only)],
        exception_handlers={
            HTTPException: _http_error,
            OperatorError: _failed,
            WorkerFault: _failed,
        },
    )


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as it is registered
    return json_response({"detail": error.detail}, error.status_code, error.headers)


async def _failed(_: Request, error: Exception) -> Response:
    return json_response({"detail": str(error)}, 503)
