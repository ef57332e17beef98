"""Middleware: who asks, told by a key or a token, before anything of a body is read."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from streamproc.clock import Clock
from streamproc.errors import SettingsError
from streamproc.settings.gateway import GatewaySettings
from streamproc.web.gateway.error_shapes import said_to
from streamproc.web.gateway.http_responses import http_response
from streamproc.web.gateway.problems import GatewayProblem
from streamproc.web.gateway.refusals import headers_too_large
from streamproc.web.gateway.security.key_file import KeyFile
from streamproc.web.gateway.security.limits import Caller
from streamproc.web.gateway.security.origins import Origins
from streamproc.web.gateway.security.tokens import TokenChecker
from streamproc.web.loopback import is_loopback

OPEN_PATHS: Final = ("/health/", "/v2/health/", "/docs", "/openapi.json", "/page/static/")
"""Anybody may look at what is below these: it says nothing of a request."""
_OPEN_PAGES: Final = frozenset({"/page", "/page/"})
"""The page without what it shows, for which it asks for a key itself."""
_DOTS_OF_A_TOKEN: Final = 2


class Authenticator:
    """Says who asks; raises GatewayProblem where that can't be told."""

    def __init__(self, settings: GatewaySettings, clock: Clock) -> None:
        """Raises SettingsError where keys, or the settings of tokens, are not as they should be."""
        self._settings = settings
        self._keys = KeyFile(settings.keys_file, clock) if settings.keys_file else None
        self._tokens = _token_checker(settings, clock)

    @property
    def is_open(self) -> bool:
        """Whether callers need neither key nor token."""
        return self._keys is None and self._tokens is None

    @property
    def is_local_only(self) -> bool:
        """Whether only this machine may ask, as nobody is asked for a key."""
        return self.is_open and is_loopback(self._settings.host)

    async def caller(self, headers: Headers) -> Caller:
        """Whose a request with these headers is."""
        settings = self._settings
        requests, characters = settings.requests_per_minute, settings.characters_per_minute
        if self.is_open:
            return Caller("", requests, characters)
        said = _credential(headers)
        if self._tokens is not None and said.count(".") == _DOTS_OF_A_TOKEN:
            subject = await self._tokens.subject(said)
            return Caller(f"token:{subject}", requests, characters)
        key = self._keys.find(said) if self._keys is not None and said else None
        if key is None:
            raise GatewayProblem(
                "unauthorized",
                "the key is not known here, or was revoked; send another"
                if said
                else "send a key, as `Authorization: Bearer …` or `X-API-Key: …`",
                headers={"WWW-Authenticate": "Bearer"},
            )
        own = (key.requests_per_minute, key.characters_per_minute)
        return Caller(
            f"key:{key.name}",
            requests if own[0] is None else own[0],
            characters if own[1] is None else own[1],
        )


class Callers:
    """Middleware: puts the caller into a request's state, or answers in its place."""

    def __init__(
        self, app: ASGIApp, authenticator: Authenticator, settings: GatewaySettings
    ) -> None:
        self._app = app
        self._authenticator = authenticator
        self._settings = settings
        self._origins = Origins(settings.cors_origins, local_only=authenticator.is_local_only)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on whose caller may ask."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            try:
                # What comes at once is read at once, however much it is.
                if _size(scope) > self._settings.max_header_bytes:
                    raise headers_too_large(self._settings)
                self._origins.require(headers.get("host"), headers.get("origin"))
                path = scope["path"]
                if not (path in _OPEN_PAGES or path.startswith(OPEN_PATHS)):
                    caller = await self._authenticator.caller(headers)
                    scope.setdefault("state", {})["caller"] = caller
            except GatewayProblem as problem:
                await http_response(said_to(scope["path"], problem))(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _size(scope: Scope) -> int:
    """Bytes of the request line and the headers; what separates them counts little and is left."""
    headers = sum(len(name) + len(value) for name, value in scope["headers"])
    return headers + len(scope.get("raw_path") or b"") + len(scope["query_string"])


def _credential(headers: Headers) -> str:
    kind, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() if kind.lower() == "bearer" else headers.get("x-api-key", "")


def _token_checker(settings: GatewaySettings, clock: Clock) -> TokenChecker | None:
    if settings.jwks is None:
        return None
    if settings.jwt_audience is None or settings.jwt_issuer is None:
        raise SettingsError(
            "STREAMPROC_GATEWAY_JWKS needs STREAMPROC_GATEWAY_JWT_AUDIENCE and "
            "STREAMPROC_GATEWAY_JWT_ISSUER: a token for somebody else must not do here"
        )
    return TokenChecker(
        settings.jwks,
        audience=settings.jwt_audience,
        issuer=settings.jwt_issuer,
        algorithms=settings.jwt_algorithms,
        clock=clock,
    )
