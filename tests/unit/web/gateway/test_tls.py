"""HTTPS from files: the gateway as it is served, with a certificate of the test's own."""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from streamproc.errors import SettingsError
from streamproc.settings import Settings
from streamproc.settings.gateway import GatewaySettings
from streamproc.web.gateway.server import run_gateway
from tests.support.certificates import certificate


async def test_with_a_certificate_the_gateway_speaks_https(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    # Nobody is there: the gateway lives all the same, and says that it is not ready.
    settings = Settings(kafka_bootstrap_servers="127.0.0.1:1")
    stop = asyncio.Event()
    with capture_logs() as logs:
        running = asyncio.create_task(
            run_gateway(settings, GatewaySettings(port=0, ssl_certfile=cert, ssl_keyfile=key), stop)
        )
        async with asyncio.timeout(60):
            while not logs and not running.done():  # noqa: ASYNC110 - a log line
                await asyncio.sleep(0.01)
        address = next(line["address"] for line in logs if line["event"] == "gateway started")
        trusted = ssl.create_default_context(cafile=str(cert))
        async with httpx.AsyncClient(verify=trusted, timeout=60) as client:
            live = await client.get(f"{address}/health/live")
            ready = await client.get(f"{address}/health/ready")
        stop.set()
        await running

    assert address.startswith("https://127.0.0.1:")
    assert live.json() == {"live": True}
    assert ready.status_code == 503
    assert json.loads(ready.content)["reasons"]


async def test_a_certificate_that_is_none_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("no certificate")
    wrong = GatewaySettings(
        port=0, ssl_certfile=tmp_path / "cert.pem", ssl_keyfile=tmp_path / "none.pem"
    )

    with pytest.raises(SettingsError, match="SSL_CERTFILE"):
        await run_gateway(Settings(), wrong, asyncio.Event())
