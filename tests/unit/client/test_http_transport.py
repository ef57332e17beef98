"""The HTTP of a gateway as the client reads it, from a server that says what a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from streamproc.client import Answer, AsyncClient, OverHttp, TextPart
from streamproc.errors import RequestFailed, RequestRefused, ServiceUnavailable
from streamproc.messages.lane import Lane

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
RESPONSE = {
    "id": "i",
    "task": "text-generation",
    "status": "ok",
    "result": {"generated_text": "ab", "finish_reason": "stop"},
}


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/v1/text-generation", handler)
    server = TestServer(app)
    await server.start_server()
    try:
        yield str(server.make_url(""))
    finally:
        await server.close()


def says(status: int, body: bytes, **headers: str) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.Response(status=status, body=body, headers=headers)

    return handler


def problem(kind: str, status: int) -> bytes:
    return orjson.dumps(
        {"type": f"urn:streamproc:problem:{kind}", "title": "t", "status": status, "detail": "d"}
    )


async def test_a_request_is_asked_at_its_tasks_address_with_who_asks() -> None:
    heard: list[web.Request] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        heard.append(request)
        assert await request.json() == {"text": "x", "params": {"seed": 1}}
        return web.json_response(RESPONSE)

    async with served(handler) as url:
        connection = OverHttp(url, "secret", Lane.BULK, timeout_s=7, headers={"traceparent": "t"})
        async with AsyncClient("text-generation", connection) as client:
            answer = await client.ask("x", seed=1)

    assert answer.response == RESPONSE
    assert heard[0].query["lane"] == "bulk"
    assert heard[0].headers["Authorization"] == "Bearer secret"
    assert heard[0].headers["Prefer"] == "wait=7"
    assert heard[0].headers["traceparent"] == "t"
    assert "secret" not in repr(connection)


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (400, "not-json", RequestRefused),
        (401, "unauthorized", RequestRefused),
        (422, "invalid", RequestRefused),
        (502, "failed", RequestFailed),
        (504, "deadline", RequestFailed),
        (429, "too-many-requests", ServiceUnavailable),
        (503, "nobody-answers", ServiceUnavailable),
        (504, "timed-out", ServiceUnavailable),
    ],
)
async def test_a_problem_is_raised_by_its_type(
    status: int, kind: str, error: type[Exception]
) -> None:
    headers = {"Retry-After": "3"}
    async with (
        served(says(status, problem(kind, status), **headers)) as url,
        AsyncClient("text-generation", OverHttp(url)) as client,
    ):
        with pytest.raises(error) as raised:
            await client.ask("x")
        with pytest.raises(error):
            await anext(client.stream("x"))

    assert raised.value.type == kind  # type: ignore[attr-defined]
    if isinstance(raised.value, ServiceUnavailable):
        assert raised.value.retry_after_s == 3


async def test_a_page_of_some_proxy_is_told_by_its_status() -> None:
    async with (
        served(says(502, b"<html>Bad gateway</html>")) as url,
        AsyncClient("text-generation", OverHttp(url)) as client,
    ):
        with pytest.raises(ServiceUnavailable, match="HTTP 502"):
            await client.ask("x")


async def test_where_nothing_listens_the_error_says_where_it_looked(
    unused_tcp_port: int,
) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    async with AsyncClient("text-generation", OverHttp(url)) as client:
        with pytest.raises(ServiceUnavailable, match=f"streamproc gateway` running at {url}"):
            await client.ask("x")


def events(*sent: tuple[str, object], ends: bool = True) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.headers["Accept"] == "text/event-stream"
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        for name, data in sent:
            await answer.write(f"event: {name}\ndata: {orjson.dumps(data).decode()}\n\n".encode())
        if not ends and request.transport is not None:
            await asyncio.sleep(0.05)
            request.transport.abort()
        return answer

    return handler


async def test_parts_are_read_as_they_come() -> None:
    part, other = {"text": "a"}, {"text": "ab", "replaces": True}
    async with (
        served(events(("part", part), ("part", other), ("response", RESPONSE))) as url,
        AsyncClient("text-generation", OverHttp(url)) as client,
    ):
        *parts, answer = [one async for one in client.stream("x")]

    assert parts == [TextPart("a"), TextPart("ab", replaces=True)]
    assert not isinstance(answer, TextPart)
    assert answer.response == RESPONSE


async def test_an_error_in_the_middle_is_raised() -> None:
    failure = orjson.loads(problem("deadline", 504))
    async with (
        served(events(("part", {"text": "a"}), ("error", failure))) as url,
        AsyncClient("text-generation", OverHttp(url)) as client,
    ):
        stream = client.stream("x")
        assert await anext(stream) == TextPart("a")
        with pytest.raises(RequestFailed, match="t: d"):
            await anext(stream)


@pytest.mark.parametrize("ends", [True, False])
async def test_a_stream_that_breaks_off_is_an_error(ends: bool) -> None:
    async with (
        served(events(("part", {"text": "a"}), ends=ends)) as url,
        AsyncClient("text-generation", OverHttp(url)) as client,
    ):
        stream = client.stream("x")
        assert await anext(stream) == TextPart("a")
        with pytest.raises(ServiceUnavailable):
            await anext(stream)


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b'{"hello":1}'])
async def test_what_is_no_gateway_is_told_and_not_raised_as_what_its_answer_lacks(
    body: bytes,
) -> None:
    async with (
        served(says(200, body)) as url,
        AsyncClient("text-generation", OverHttp(url)) as client,
    ):
        with pytest.raises(ServiceUnavailable, match="no response to a request"):
            await client.ask("x")
        with pytest.raises(ServiceUnavailable, match="no stream"):
            await anext(client.stream("x"))


async def test_a_request_that_is_no_json_is_refused_and_the_others_are_asked() -> None:
    wrong: list[Any] = ["\ud800", {"text": object()}, None, {"text": "x", "params": 3}]
    async with (
        served(says(200, orjson.dumps(RESPONSE))) as url,
        AsyncClient("text-generation", OverHttp(url)) as client,
    ):
        asked = ["a", *wrong, {"text": "b", "params": None}, {"text": np.float32(1)}]
        outcomes = [one async for one in client.ask_many(asked, seed=1)]

    types = [type(one) for one in outcomes]
    assert types == [Answer, *[RequestRefused] * len(wrong), Answer, Answer]
    assert "can't be written as JSON" in str(outcomes[1])
    assert "found NoneType" in str(outcomes[3])
