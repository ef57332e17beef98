from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from streamproc.errors import SettingsError
from streamproc.metrics import Metrics
from streamproc.web import server
from streamproc.web.server import MOST_CONNECTIONS, build_app, serving


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


async def test_a_second_worker_on_a_machine_takes_another_port_and_says_which() -> None:
    with capture_logs() as logs:
        async with (
            serving(app(), "127.0.0.1", 0) as first,
            serving(app(), "127.0.0.1", port_of(first), or_free=True) as second,
            aiohttp.ClientSession() as client,
        ):
            for address in (first, second):
                async with client.get(f"{address}/v2/health/ready") as answer:
                    assert (await answer.json())["ready"]

    assert port_of(second) != port_of(first)
    (told,) = logs
    assert (told["port"], told["used"]) == (port_of(first), port_of(second))


async def test_a_port_that_somebody_chose_is_not_exchanged_for_another() -> None:
    async with serving(app(), "127.0.0.1", 0) as first:
        with pytest.raises(SettingsError, match="STREAMPROC_WEB_PORT"):
            async with serving(app(), "127.0.0.1", port_of(first)):
                pass


async def test_a_host_that_is_not_this_machine_is_an_error_that_names_it() -> None:
    with pytest.raises(SettingsError, match=r"can't listen on 192\.0\.2\.1:0"):
        async with serving(app(), "192.0.2.1", 0, or_free=True):
            pass


async def test_what_is_amiss_without_keeping_it_from_being_ready_is_told() -> None:
    amiss: list[str] = []
    served = build_app(list, CollectorRegistry(), lambda: amiss)
    async with serving(served, "127.0.0.1", 0) as at, aiohttp.ClientSession() as client:
        for expected in ({}, {"degraded": ["no shared cache"]}):
            amiss[:] = expected.get("degraded", [])
            async with client.get(f"{at}/v2/health/ready") as answer:
                assert answer.status == 200
                assert await answer.json() == {"ready": True, "reasons": [], **expected}


async def test_a_probe_is_answered_though_somebody_holds_a_thousand_connections_open() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    try:
        async with serving(app(), "127.0.0.1", 0) as at:
            idle += [await asyncio.open_connection("127.0.0.1", port_of(at)) for _ in range(1_100)]
            async with aiohttp.ClientSession() as client:
                async with client.get(f"{at}/v2/health/ready") as answer:
                    assert (await answer.json())["ready"]
                async with client.get(f"{at}/v2/health/live") as answer:
                    assert answer.status == 200
            ended = [reader for reader, _ in idle[:-MOST_CONNECTIONS]]
            assert [await reader.read() for reader in ended] == [b""] * len(ended)
            assert not any(reader.at_eof() for reader, _ in idle[1 - MOST_CONNECTIONS :])
    finally:
        for _, writer in idle:
            writer.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def writes_without_end(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    while True:
        await answer.write(b"x" * 65_536)


async def is_closed_with_much_left_to_write(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.write(b"x" * (16 << 20))
    request.protocol.force_close()
    return web.Response()


@pytest.mark.parametrize("answer", [writes_without_end, is_closed_with_much_left_to_write])
async def test_who_reads_nothing_holds_no_more_connections_than_others_do(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 4)
    served = app()
    served.router.add_get("/much", answer)
    async with serving(served, "127.0.0.1", 0) as at:
        with ExitStack() as held:
            before = handles()
            for count in range(1, 13):
                peer = held.enter_context(socket.create_connection(("127.0.0.1", port_of(at))))
                peer.sendall(b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n")
                # Until it is the server's too, and asks for nothing that it would then read.
                await until(lambda: peer_is_answered(peer))  # noqa: B023 - awaited at once
                await until(lambda: handles() - before - count <= 4)  # noqa: B023
            async with (
                aiohttp.ClientSession() as client,
                client.get(f"{at}/v2/health/live") as live,
            ):
                assert live.status == 200


async def test_a_connection_that_is_kept_is_not_ended_by_others_that_come_and_go() -> None:
    async with serving(app(), "127.0.0.1", 0) as at:
        kept, writer = await asyncio.open_connection("127.0.0.1", port_of(at))
        for _ in range(2 * MOST_CONNECTIONS):
            _, other = await asyncio.open_connection("127.0.0.1", port_of(at))
            other.close()
            await asyncio.sleep(0.02)
        writer.write(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await kept.read()).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_metrics_have_exemplars_for_those_who_ask_for_openmetrics() -> None:
    metrics = Metrics()
    metrics.request_seconds.labels("translation", "bulk").observe(0.02, {"trace_id": "0af7"})
    served = build_app(list, metrics.registry)
    openmetrics = {"Accept": "application/openmetrics-text;version=1.0.0"}
    async with serving(served, "127.0.0.1", 0) as at, aiohttp.ClientSession() as client:
        async with client.get(f"{at}/metrics", headers=openmetrics) as answer:
            assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
            assert '# {trace_id="0af7"} 0.02' in await answer.text()
        async with client.get(f"{at}/metrics") as answer:
            assert answer.headers["Content-Type"].startswith("text/plain")
            assert "0af7" not in await answer.text()


def handles() -> int:
    """Open ones of this process."""
    return sum(1 for _ in Path("/dev/fd").iterdir())


def peer_is_answered(peer: socket.socket) -> bool:
    try:
        return bool(peer.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except BlockingIOError:
        return False


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not is_so():  # noqa: ASYNC110 - what the system says
            await asyncio.sleep(0.01)


def app() -> aiohttp.web.Application:
    return build_app(list, CollectorRegistry())
