"""JSON Web Tokens, checked with the public keys of whoever issues them (a JWKS)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import jwt
import structlog
from jwt import PyJWK, PyJWKClient, PyJWKSet

from streamproc.clock import Clock
from streamproc.errors import SettingsError
from streamproc.web.gateway.problems import GatewayProblem

FETCH_TIMEOUT_S: Final = 5
FETCH_AGAIN_S: Final = 30.0
"""The least between two looks for a key that is not known: callers can make up as many."""
KEPT_S: Final = 600.0
LEEWAY_S: Final = 30
# The last two, as PyJWT takes for granted that JSON is an object and each of its keys one, too; it
# passes on what comes of a page that is no JSON, or of a connection that is reset.
_NO_KEY_SET: Final = (
    OSError, ValueError, RecursionError, jwt.PyJWTError, AttributeError, TypeError,
)  # fmt: skip

log = structlog.get_logger(__name__)


class TokenChecker:
    """Says whose a token is: its `sub`.

    source:     a file or a URL of a JWKS
    algorithms: that are taken, whatever a token says; only those with public keys
    """

    def __init__(
        self,
        source: str,
        *,
        audience: str,
        issuer: str,
        algorithms: Sequence[str],
        clock: Clock,
    ) -> None:
        """Raises SettingsError where a file has no keys."""
        self._source = source
        self._audience = audience
        self._issuer = issuer
        self._algorithms = list(algorithms)
        self._clock = clock
        self._is_url = source.startswith(("https://", "http://"))
        self._fetching = asyncio.Lock()
        self._tried_at_s: float | None = None
        self._keys: list[PyJWK] = []
        if not self._is_url:
            self._keys = _keys_in(Path(source))

    async def subject(self, token: str) -> str:
        """Whose a token is; raises GatewayProblem where it is not good, or its keys are away."""
        try:
            key = await self._key(jwt.get_unverified_header(token).get("kid"))
            claims = jwt.decode(
                token,
                key,
                algorithms=self._algorithms,
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY_S,
                options={"require": ["exp", "aud", "iss", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise GatewayProblem(
                "unauthorized",
                f"the token is not good: {type(error).__name__}",
                headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
            ) from None
        return str(claims["sub"])

    async def _key(self, kid: str | None) -> PyJWK:
        if self._is_url and (self._is_old() or self._found(kid) is None):
            await self._fetch()
        found = self._found(kid)
        if found is None:
            raise jwt.InvalidKeyError("no such key")
        return found

    def _found(self, kid: str | None) -> PyJWK | None:
        if kid is None:
            return self._keys[0] if len(self._keys) == 1 else None
        return next((key for key in self._keys if key.key_id == kid), None)

    def _is_old(self) -> bool:
        tried = self._tried_at_s
        return tried is None or self._clock.monotonic_s() - tried > KEPT_S

    async def _fetch(self) -> None:
        """Look for keys unless that was done a moment ago; those that are known are kept.

        Raises GatewayProblem where none are.
        """
        async with self._fetching:
            # Without keys the last try failed, and whoever waited for it would fail as long again.
            again_s = FETCH_AGAIN_S if self._keys else FETCH_TIMEOUT_S
            tried = self._tried_at_s
            if tried is None or self._clock.monotonic_s() - tried >= again_s:
                await self._try()
        if not self._keys:
            raise GatewayProblem(
                "key-set-away",
                "tokens can't be checked at the moment",
                retry_after_s=FETCH_TIMEOUT_S,
            )

    async def _try(self) -> None:
        client = PyJWKClient(self._source, cache_jwk_set=False, timeout=FETCH_TIMEOUT_S)
        try:
            self._keys = list((await asyncio.to_thread(client.get_jwk_set)).keys)
        except _NO_KEY_SET as error:
            log.warning("key set not fetched", source=self._source, reason=str(error))
        finally:
            # Behind the try, which may have taken as long as the pause after it.
            self._tried_at_s = self._clock.monotonic_s()


def _keys_in(file: Path) -> list[PyJWK]:
    try:
        return list(PyJWKSet.from_json(file.read_text("utf-8")).keys)
    except _NO_KEY_SET as error:
        raise SettingsError(f"{file} (STREAMPROC_GATEWAY_JWKS): no key set: {error}") from None
