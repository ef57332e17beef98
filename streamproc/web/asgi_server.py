"""An ASGI application as a server of its own, by uvicorn: until it is told to stop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

from streamproc.errors import SettingsError
from streamproc.web.bounded_http import Refusal, bounded_http

_BACKLOG: Final = 2048


HEADER_S: Final = 30.0


def server_config(
    app: ASGIApp, refusal: Refusal, *, header_s: float = HEADER_S, **options: Any
) -> uvicorn.Config:
    """How it is served.

    refusal: says why what came is no request
    header_s: the longest that headers may take to arrive
    options: further ones of uvicorn's
    """
    return uvicorn.Config(
        app,
        http=bounded_http(header_s, refusal),  # type: ignore[arg-type]
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        **options,
    )


@contextmanager
def listening(host: str, port: int, choose: str) -> Iterator[socket.socket]:
    """A socket that is listened on within the block.

    choose: how another port is chosen
    Raises SettingsError where it can't be.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        found = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise SettingsError(f"can't listen on {host}:{port}: {error.strerror}; {choose}") from None
    try:
        yield found
    finally:
        with suppress(OSError):
            found.close()


def address_of(listener: socket.socket, scheme: str = "http") -> str:
    """Where to ask it, as http://127.0.0.1:8080."""
    host, port = listener.getsockname()[:2]
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


async def serve_until(
    stop: asyncio.Event,
    listener: socket.socket,
    config: uvicorn.Config,
    end_streams: Callable[[], object],
) -> None:
    """Serve until `stop`; then what has come is answered, within the configuration's time.

    end_streams: ends the answers that would go on for as long as somebody reads them
    """
    server = _Server(config)
    serving = asyncio.create_task(server.serve([listener]))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        end_streams()
        server.should_exit = True
        await serving
    finally:
        stopping.cancel()


class _Server(uvicorn.Server):
    """Signals are the command's: uvicorn's own handling ends the process by them."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
