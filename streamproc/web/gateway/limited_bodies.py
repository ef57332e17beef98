"""Bodies that are too large or too slow, stopped before they are read to their end; and metrics."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamproc.clock import Clock
from streamproc.web.gateway.metrics import GatewayMetrics
from streamproc.web.gateway.problems import GatewayProblem


class LimitedBodies:
    """Middleware: reading a body raises GatewayProblem once it is too large, or takes too long.

    body_s: from the headers to the last byte of the body
    """

    def __init__(self, app: ASGIApp, max_bytes: int, body_s: float, clock: Clock) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._body_s = body_s
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with its body watched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        size, whole, ends_at_s = 0, False, self._clock.monotonic_s() + self._body_s

        async def watched() -> Message:
            nonlocal size, whole
            if whole:
                # Waits for the caller to leave, however long the answer takes.
                return await receive()
            try:
                async with asyncio.timeout(max(0.0, ends_at_s - self._clock.monotonic_s())):
                    message = await receive()
            except TimeoutError:
                raise GatewayProblem(
                    "slow-body", f"not there after {self._body_s:g} s", headers=_CLOSE
                ) from None
            size += len(message.get("body", b""))
            if size > self._max_bytes:
                raise GatewayProblem(
                    "body-too-large",
                    f"more than {self._max_bytes} bytes (STREAMPROC_GATEWAY_MAX_BODY_BYTES)",
                    headers=_CLOSE,
                )
            whole = not message.get("more_body", False)
            return message

        await self._app(scope, watched, send)


# What is left of the body is not read, so nothing else can come by the connection.
_CLOSE = {"Connection": "close"}


class Measured:
    """Middleware: counts and times requests, by the address as it is described."""

    def __init__(self, app: ASGIApp, metrics: GatewayMetrics, clock: Clock) -> None:
        self._app = app
        self._metrics = metrics
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_s, status = self._clock.monotonic_s(), 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            # Paths that callers make up must not become labels.
            route = str(getattr(scope.get("route"), "path", "other"))
            self._metrics.requests.labels(route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(self._clock.monotonic_s() - started_s)
