"""`/v2/health/live`, `/v2/health/ready` and `/metrics`."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import orjson
import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from streamproc.errors import SettingsError

MOST_CONNECTIONS: Final = 64
"""Open at once; probes and scrapers need a few."""
BACKLOG: Final = 64
"""Connections that are taken at once, and so held beyond those for a moment."""

log = structlog.get_logger(__name__)

Ready = Callable[[], Sequence[str]]
"""The reasons why the worker is not ready, a sentence each; empty when it is."""


def _nothing() -> Sequence[str]:
    return ()


def build_app(
    ready: Ready, registry: CollectorRegistry, degraded: Ready = _nothing
) -> web.Application:
    """The application; paths as the Open Inference Protocol names them.

    degraded: what is amiss without keeping the worker from being ready, a sentence each
    """

    async def live(_: web.Request) -> web.Response:
        # An answer shows that the event loop is running.
        return _json({"live": True})

    async def is_ready(_: web.Request) -> web.Response:
        reasons = list(ready())
        body: dict[str, object] = {"ready": not reasons, "reasons": reasons}
        if amiss := list(degraded()):
            body["degraded"] = amiss
        return _json(body, 503 if reasons else 200)

    async def metrics(request: web.Request) -> web.Response:
        # OpenMetrics for those who ask for it, as Prometheus does: it alone has exemplars.
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    app = web.Application()
    app.add_routes(
        [
            web.get("/v2/health/live", live),
            web.get("/v2/health/ready", is_ready),
            web.get("/metrics", metrics),
        ]
    )
    return app


@asynccontextmanager
async def serving(
    app: web.Application, host: str, port: int, *, or_free: bool = False
) -> AsyncIterator[str]:
    """Serve the application inside the context; yields its address.

    or_free: use any free port where this one is in use, as by another worker on the machine
    Raises SettingsError where it can't listen.
    """
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    listening: asyncio.Server | None = None
    try:
        try:
            listening = await _listen(runner, host, port)
        except OSError as error:
            if not (or_free and error.errno == errno.EADDRINUSE):
                raise _cannot_listen(host, port, error) from None
            listening = await _listen(runner, host, 0)
            used = listening.sockets[0].getsockname()[1]
            log.warning("port in use, using another", port=port, used=used)
        bound = listening.sockets[0].getsockname()
        yield f"http://{f'[{bound[0]}]' if ':' in bound[0] else bound[0]}:{bound[1]}"
    finally:
        if listening is not None:
            listening.close()
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int) -> asyncio.Server:
    bounded = _BoundedConnections(runner.server)
    return await asyncio.get_running_loop().create_server(bounded, host, port, backlog=BACKLOG)


class _BoundedConnections:
    """Ends the oldest connection where there are too many, so that a probe is answered though
    somebody else holds open all that they can: the process has no handle left otherwise, not for
    Kafka either."""

    def __init__(self, make: Callable[[], RequestHandler] | None) -> None:
        assert make is not None  # noqa: S101 - the runner has been set up
        self._make = make
        # From the oldest to the newest, as dictionaries keep the order.
        self._open: dict[_Connection, None] = {}

    def __call__(self) -> _Connection:
        while len(self._open) >= MOST_CONNECTIONS:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.abort()
        made = _Connection(self._make(), self._open)
        self._open[made] = None
        return made


class _Connection(asyncio.Protocol):
    """One of aiohttp's, in `among` until its handle is given back.

    aiohttp forgets a transport that it closes, which stays open for as long as the peer does not
    read what was written to it.
    """

    def __init__(self, handler: RequestHandler, among: dict[_Connection, None]) -> None:
        self._handler = handler
        self._among = among
        self._transport: asyncio.Transport | None = None
        self._is_aborted = False

    def abort(self) -> None:
        """End it now, whatever is left to write."""
        self._is_aborted = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._handler.connection_made(transport)
        if self._is_aborted:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._among.pop(self, None)
        self._handler.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._handler.data_received(data)

    def eof_received(self) -> None:
        self._handler.eof_received()

    def pause_writing(self) -> None:
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        self._handler.resume_writing()


def _cannot_listen(host: str, port: int, error: OSError) -> SettingsError:
    return SettingsError(
        f"can't listen on {host}:{port}: {error.strerror}; choose another with "
        "STREAMPROC_WEB_HOST and STREAMPROC_WEB_PORT (0 takes any free port)"
    )


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")
