"""The gateway as a process: it listens until it is told to stop, and finishes what it has begun."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import structlog
import uvicorn
from fastapi import FastAPI

from streamproc.errors import SettingsError
from streamproc.settings import Settings
from streamproc.settings.gateway import GatewaySettings
from streamproc.web.gateway.app import build_app
from streamproc.web.gateway.security.origins import is_loopback

KEEP_ALIVE_S: Final = 75
"""Seconds that a connection may rest: longer than clients keep one in their pool, or a request
would meet a connection that is being closed."""
_BACKLOG: Final = 2048

log = structlog.get_logger(__name__)


async def run_gateway(
    settings: Settings, gateway_settings: GatewaySettings, stop: asyncio.Event
) -> None:
    """Serve until `stop`; then requests that have come are answered, within the drain's time.

    Raises OperatorError when it can't start.
    """
    require_keys(gateway_settings)
    app = build_app(settings, gateway_settings)
    config = _config(app, settings, gateway_settings)
    listening = _listening(gateway_settings.host, gateway_settings.port)
    server = _Server(config)
    host, port = listening.getsockname()[:2]
    scheme = "https" if gateway_settings.ssl_certfile else "http"
    address = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
    log.info("gateway started", address=address, health=f"{address}/health/ready")
    serving = asyncio.create_task(server.serve([listening]))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        app.state.end_streams()
        server.should_exit = True
        await serving
        log.info("gateway stopped")
    finally:
        stopping.cancel()
        with suppress(OSError):
            listening.close()


def require_keys(settings: GatewaySettings) -> None:
    """Raises SettingsError where anybody on the network could ask, and nobody has said so."""
    needs_keys = settings.keys_file is not None or settings.jwks is not None
    if not (needs_keys or settings.without_keys or is_loopback(settings.host)):
        raise SettingsError(
            f"STREAMPROC_GATEWAY_HOST={settings.host}: anybody who reaches it could ask; make keys "
            "(`streamproc gateway keys add`) and name their file in STREAMPROC_GATEWAY_KEYS_FILE, "
            "or set STREAMPROC_GATEWAY_JWKS, or say STREAMPROC_GATEWAY_WITHOUT_KEYS=true where "
            "something else in front lets only those in who may"
        )


def _config(app: FastAPI, settings: Settings, gateway_settings: GatewaySettings) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        ssl_certfile=gateway_settings.ssl_certfile,
        ssl_keyfile=gateway_settings.ssl_keyfile,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        h11_max_incomplete_event_size=gateway_settings.max_header_bytes,
        timeout_graceful_shutdown=max(1, round(settings.drain_timeout_s)),
    )
    try:
        config.load()
    except OSError as error:
        raise SettingsError(
            f"STREAMPROC_GATEWAY_SSL_CERTFILE={gateway_settings.ssl_certfile}, "
            f"STREAMPROC_GATEWAY_SSL_KEYFILE={gateway_settings.ssl_keyfile}: {error}"
        ) from None
    return config


class _Server(uvicorn.Server):
    """Signals are the command's: uvicorn's own handling ends the process by them."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise SettingsError(
            f"can't listen on {host}:{port}: {error.strerror}; choose another with "
            "STREAMPROC_GATEWAY_HOST and STREAMPROC_GATEWAY_PORT (0 takes any free port)"
        ) from None
