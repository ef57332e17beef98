"""Requests through a gateway, by aiohttp."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, Self, cast

import aiohttp
import orjson

from streamproc.client.answer import error_of
from streamproc.client.request_body import json_of
from streamproc.client.server_sent_events import server_sent_events
from streamproc.errors import RequestError, ServiceUnavailable
from streamproc.messages.client import ResponseBody
from streamproc.messages.part_reader import TextPart

# The gateway says why there is no answer; it needs this long to be heard.
_GRACE_S: Final = 5.0
_RESPONSE_FIELDS: Final = {"id", "status"}


class HttpTransport:
    """Asks at one task's address."""

    def __init__(self, session: aiohttp.ClientSession, address: str, timeout_s: float) -> None:
        self._session = session
        self._address = address
        self._wait = f"wait={timeout_s:g}"
        self._timeout = aiohttp.ClientTimeout(total=timeout_s + _GRACE_S)

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, address: str, headers: Mapping[str, str], timeout_s: float
    ) -> AsyncIterator[Self]:
        """Nothing is asked yet."""
        # How many are asked at a time is the caller's to bound.
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
            yield cls(session, address, timeout_s)

    async def ask(self, body: Mapping[str, Any]) -> ResponseBody:
        with self._told_as_a_request_error():
            async with self._posted(body, "application/json") as answer:
                return self._response(await answer.read())

    async def stream(
        self, body: Mapping[str, Any]
    ) -> AsyncGenerator[TextPart | ResponseBody, None]:
        with self._told_as_a_request_error():
            async with self._posted(body, "text/event-stream") as answer:
                if answer.content_type != "text/event-stream":
                    raise self._no_gateway(f"its answer is {answer.content_type}, no stream")
                async for event in server_sent_events(answer.content.iter_any()):
                    said = _object(event.data)
                    if event.name == "error":
                        raise problem_error(said, said.get("status", 500), None)
                    if event.name == "response":
                        yield self._response(event.data)
                        return
                    if not isinstance(said.get("text"), str):
                        raise self._no_gateway("a part of a text has none")
                    yield TextPart(said["text"], said.get("replaces", False))
        raise ServiceUnavailable("broken-off", "the gateway is gone", "the stream broke off")

    @asynccontextmanager
    async def _posted(
        self, body: Mapping[str, Any], accepted: str
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {"Content-Type": "application/json", "Accept": accepted, "Prefer": self._wait}
        async with self._session.post(
            self._address, data=json_of(body), headers=headers, timeout=self._timeout
        ) as answer:
            if answer.status != 200:
                raise problem_error(
                    _object(await answer.read()), answer.status, answer.headers.get("Retry-After")
                )
            yield answer

    def _response(self, written: bytes | str) -> ResponseBody:
        found = _object(written)
        if not found.keys() >= _RESPONSE_FIELDS:
            raise self._no_gateway("its answer is no response to a request")
        return cast(ResponseBody, found)

    def _no_gateway(self, why: str) -> ServiceUnavailable:
        return ServiceUnavailable(
            "no-gateway",
            "the gateway does not answer",
            f"{why}; is it a `streamproc gateway` that runs at {self._address}?",
        )

    @contextmanager
    def _told_as_a_request_error(self) -> Iterator[None]:
        try:
            yield
        except (aiohttp.ClientError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            raise ServiceUnavailable(
                "no-gateway",
                "the gateway does not answer",
                f"{reason}; is a `streamproc gateway` running at {self._address}?",
            ) from error


def problem_error(problem: Mapping[str, Any], status: int, retry_after: str | None) -> RequestError:
    """The error that a gateway's problem of RFC 9457 is raised as.

    retry_after: as the header has it
    """
    return error_of(
        str(problem.get("type", "unknown")).rpartition(":")[2],
        str(problem.get("title", f"HTTP {status}")),
        str(problem.get("detail", "it says no more")),
        status=status,
        retry_after_s=float(retry_after) if retry_after and retry_after.isdecimal() else None,
    )


def _object(body: bytes | str) -> Mapping[str, Any]:
    """Its fields; of what is no JSON object, as a proxy's page, none."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
