"""The gateway as a process: it listens until it is told to stop, and finishes what it has begun."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
import uvicorn
from fastapi import FastAPI

from streamproc.errors import SettingsError
from streamproc.repository.repository import Repository
from streamproc.settings import Settings
from streamproc.settings.gateway import GatewaySettings
from streamproc.web.asgi_server import address_of, listening, serve_until, server_config
from streamproc.web.gateway.app import build_app
from streamproc.web.gateway.refusals import refusal_of
from streamproc.web.loopback import is_loopback

KEEP_ALIVE_S: Final = 75
"""Seconds that a connection may rest: longer than clients keep one in their pool, or a request
would meet a connection that is being closed."""

log = structlog.get_logger(__name__)


async def run_gateway(
    settings: Settings, gateway_settings: GatewaySettings, stop: asyncio.Event
) -> None:
    """Serve until `stop`; then requests that have come are answered, within the drain's time.

    Raises OperatorError when it can't start.
    """
    require_keys(gateway_settings)
    require_certificate(gateway_settings)
    # A folder that is not there would be told to whoever asks first.
    Repository(settings.models_dir).names()
    app = build_app(settings, gateway_settings)
    config = _config(app, settings, gateway_settings)
    choose = (
        "choose another with STREAMPROC_GATEWAY_HOST and STREAMPROC_GATEWAY_PORT (0 takes any free "
        "port)"
    )
    with listening(gateway_settings.host, gateway_settings.port, choose) as listener:
        address = address_of(listener, "https" if gateway_settings.ssl_certfile else "http")
        log.info("gateway started", address=address, health=f"{address}/health/ready")
        await serve_until(stop, listener, config, app.state.end_streams)
        log.info("gateway stopped")


def require_certificate(settings: GatewaySettings) -> None:
    """Raises SettingsError where there is a key, and nothing that it belongs to."""
    if settings.ssl_keyfile is not None and settings.ssl_certfile is None:
        raise SettingsError(
            f"STREAMPROC_GATEWAY_SSL_KEYFILE={settings.ssl_keyfile}: a private key goes with a "
            "certificate; name its file in STREAMPROC_GATEWAY_SSL_CERTFILE"
        )


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
    config = server_config(
        app,
        refusal_of(gateway_settings),
        header_s=gateway_settings.body_timeout_s,
        lifespan="on",
        ssl_certfile=gateway_settings.ssl_certfile,
        ssl_keyfile=gateway_settings.ssl_keyfile,
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
