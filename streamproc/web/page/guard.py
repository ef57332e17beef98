"""What keeps other pages out: which names it answers to, who may post, and what it may load."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamproc.web.loopback import asks_loopback

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """Refuses what another origin asks, and tells browsers what the page may do.

    local_only: answer to names of this machine alone
    """

    def __init__(self, app: ASGIApp, *, local_only: bool) -> None:
        self._app = app
        self._local_only = local_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        reason = self._refusal(Headers(scope=scope), scope["method"])
        if reason is not None:
            await PlainTextResponse(reason, 403, headers=_HEADERS)(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-cache")
            await send(message)

        await self._app(scope, receive, with_headers)

    def _refusal(self, headers: Headers, method: str) -> str | None:
        host = headers.get("host", "")
        if self._local_only and not asks_loopback(host):
            return "the page is not known by this name; open it at the address that it was given\n"
        if method in ("GET", "HEAD"):
            return None
        # Every browser sends one with a POST; what has none was not made by this page.
        origin = headers.get("origin", "")
        if origin.partition("://")[2] != host or not host:
            return "this may only be asked by the page itself\n"
        if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return "a body must be application/json\n"
        return None
