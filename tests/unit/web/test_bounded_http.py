"""What callers get that send no request, half of one, or far too much, by a real socket."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from typing import Any

import psutil
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from streamproc.settings.gateway import GatewaySettings
from streamproc.web.bounded_http import bounded_http
from streamproc.web.gateway.refusals import refusal_of
from tests.support.gateway_app import listening

HEADER_S = 0.3
LONGER_S = 4 * HEADER_S
ASK = b"GET / HTTP/1.1\r\nHost: x\r\n"


EARLY = b"POST /early HTTP/1.1\r\nHost: x\r\n"
"""Asks what is answered without a look at its body, as where a key is missing."""


ended = threading.Event()
"""An answer without end has ended."""


async def without_end() -> AsyncIterator[bytes]:
    try:
        while True:
            await asyncio.sleep(0)
            yield b"x" * 65_536
    finally:
        ended.set()


async def answer(request: Request) -> Response:
    """Takes longer than headers may, where it is asked to."""
    if request.url.path == "/endless":
        return StreamingResponse(without_end())
    if request.url.path == "/early":
        return PlainTextResponse("no key", 401)
    if request.url.path == "/large":
        return PlainTextResponse(b"x" * (64 << 20))
    body = await request.body()
    if request.url.path == "/slow":
        await asyncio.sleep(LONGER_S)
    return PlainTextResponse(b"answered " + body)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])
    refusal = refusal_of(GatewaySettings(body_timeout_s=HEADER_S))
    with listening(app, bounded_http(HEADER_S, refusal)) as address:
        yield int(address.rpartition(":")[2])


def connected(port: int) -> closing[socket.socket]:
    return closing(socket.create_connection(("127.0.0.1", port), timeout=60))


def one_answer(connection: socket.socket) -> tuple[int, bytes]:
    """The status and the body of the next answer, which says how long it is."""
    with connection.makefile("rb", buffering=0) as reader:
        status = int(reader.readline().split()[1])
        length = 0
        while line := reader.readline().strip().lower():
            name, _, value = line.partition(b":")
            length = int(value) if name == b"content-length" else length
        body = b""
        while len(body) < length:
            body += reader.read(length - len(body)) or b""
        return status, body


def refused(connection: socket.socket) -> str:
    """The type of the problem that comes before the connection is closed."""
    status, body = one_answer(connection)
    problem: dict[str, Any] = json.loads(body)
    assert problem["status"] == status
    assert connection.recv(1) == b""
    return str(problem["type"]).rpartition(":")[2]


def test_a_connection_that_says_nothing_is_closed(port: int) -> None:
    with connected(port) as connection:
        assert connection.recv(1) == b""


@pytest.mark.parametrize("begun", [b"G", b"POST / HTTP/1.1\r\n", ASK + b"X-Slow: 1"])
def test_headers_that_do_not_end_in_time_are_a_problem(port: int, begun: bytes) -> None:
    with connected(port) as connection:
        connection.sendall(begun)
        assert refused(connection) == "slow-headers"


def test_a_byte_now_and_then_wins_no_time(port: int) -> None:
    with connected(port) as connection:
        connection.sendall(ASK + b"X-Slow: ")
        connection.settimeout(HEADER_S / 5)
        for _ in range(1000):
            connection.sendall(b"z")
            try:
                assert connection.recv(12) == b"HTTP/1.1 408"
            except TimeoutError:
                continue
            return
        pytest.fail("it was waited for without end")


@pytest.mark.parametrize("nonsense", [b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"hello\r\n\r\n"])
def test_what_is_no_request_is_a_problem(port: int, nonsense: bytes) -> None:
    with connected(port) as connection:
        connection.sendall(nonsense)
        assert refused(connection) == "not-http"


def test_headers_without_end_are_not_read_without_end(port: int) -> None:
    with connected(port) as connection, pytest.raises(OSError, match=r"pipe|reset"):
        connection.sendall(ASK + 100_000 * (b"X-Long: " + b"z" * 8000 + b"\r\n"))


def test_headers_that_are_too_large_are_told_so(port: int) -> None:
    with connected(port) as connection:
        connection.sendall(ASK + b"X-Long: " + b"z" * 70_000)
        assert refused(connection) == "headers-too-large"


def test_an_answer_and_a_pause_after_it_may_take_longer_than_headers(port: int) -> None:
    with connected(port) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        assert one_answer(connection) == (200, b"answered ")
        connection.settimeout(LONGER_S)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(60)
        connection.sendall(ASK + b"\r\n")
        assert one_answer(connection) == (200, b"answered ")
        connection.sendall(ASK)
        assert refused(connection) == "slow-headers"


def test_requests_that_come_at_once_are_answered_each(port: int) -> None:
    with connected(port) as connection:
        connection.sendall(3 * (ASK + b"Content-Length: 2\r\n\r\nhi"))
        assert [one_answer(connection) for _ in range(3)] == 3 * [(200, b"answered hi")]


@pytest.mark.parametrize(
    ("headers", "begun"),
    [(b"Content-Length: 100", b"a"), (b"Transfer-Encoding: chunked", b"1\r\na\r\n5")],
)
def test_a_body_behind_its_answer_is_not_waited_for_without_end(
    port: int, headers: bytes, begun: bytes
) -> None:
    with connected(port) as connection:
        connection.sendall(EARLY + headers + b"\r\n\r\n")
        assert one_answer(connection) == (401, b"no key")
        connection.sendall(begun)
        assert connection.recv(1) == b""


def test_a_byte_of_such_a_body_now_and_then_wins_no_time(port: int) -> None:
    with connected(port) as connection:
        connection.sendall(EARLY + b"Content-Length: 10000\r\n\r\n")
        assert one_answer(connection) == (401, b"no key")
        connection.settimeout(HEADER_S / 5)
        for _ in range(1000):
            try:
                connection.sendall(b"z")
                assert connection.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                # It was closed while the byte was on its way.
                return
            return
        pytest.fail("it was waited for without end")


def test_another_request_may_follow_a_body_behind_its_answer(port: int) -> None:
    with connected(port) as connection:
        connection.sendall(EARLY + b"Content-Length: 3\r\n\r\n")
        assert one_answer(connection) == (401, b"no key")
        connection.sendall(b"abcGET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        assert one_answer(connection) == (200, b"answered ")


def test_an_answer_that_nobody_reads_ends(port: int) -> None:
    ended.clear()
    with connected(port) as connection:
        connection.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        assert ended.wait(60)


def test_an_answer_that_is_read_slowly_goes_on(port: int) -> None:
    ended.clear()
    with connected(port) as connection:
        connection.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        for _ in range(12):
            assert not ended.wait(HEADER_S / 2)
            left = 4 << 20
            while left:
                left -= len(connection.recv(left))
    assert ended.wait(60)


def test_a_connection_that_is_closed_with_an_answer_that_nobody_reads_ends(port: int) -> None:
    with connected(port) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert connection.recv(1) == b"H"
        ours = connection.getsockname()
        give_up_at = time.monotonic() + 60
        while any(held.raddr == ours for held in psutil.Process().net_connections("tcp4")):
            assert time.monotonic() < give_up_at
            time.sleep(0.05)
