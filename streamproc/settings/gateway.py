"""Settings of `streamproc gateway` alone, as `STREAMPROC_GATEWAY_*`; no worker reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from streamproc.settings.addresses import checked_host
from streamproc.settings.reading import PREFIX, Names, port_or, read
from streamproc.settings.sizes import KIB, MIB, bytes_between

GATEWAY_PREFIX: Final = f"{PREFIX}GATEWAY_"
GATEWAY_PORT: Final = 8080


_PUBLIC_KEY_ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)


def _with_public_keys(names: tuple[str, ...]) -> tuple[str, ...]:
    """Raises ValueError for an algorithm whose key is a secret, or that has none."""
    if unknown := [name for name in names if name not in _PUBLIC_KEY_ALGORITHMS]:
        raise ValueError(f"{unknown[0]!r}: must be of {', '.join(_PUBLIC_KEY_ALGORITHMS)}")
    return names


class GatewaySettings(BaseSettings):
    """What a gateway listens on, how long callers wait, and how much it holds."""

    model_config = SettingsConfigDict(
        env_prefix=GATEWAY_PREFIX,
        extra="ignore",
        frozen=True,
        validate_default=True,
        use_attribute_docstrings=True,
    )

    host: Annotated[str, AfterValidator(checked_host)] = "127.0.0.1"
    """Address that the gateway listens on."""
    port: Annotated[int, BeforeValidator(port_or(GATEWAY_PORT))] = Field(
        GATEWAY_PORT, ge=0, le=65535
    )
    """Port of the gateway; 0: any free port."""
    page: Literal["auto", "on", "off"] = "auto"
    """Whether the page of `streamproc status` is served at /page/; auto: on loopback only."""
    wait_s: float = Field(30.0, gt=0, le=3600)
    """Seconds that a caller waits for an answer unless its Prefer header says how long."""
    max_wait_s: float = Field(300.0, gt=0, le=3600)
    """The longest that a caller may wait, in seconds."""
    max_body_bytes: Annotated[int, bytes_between(1 * KIB)] = 16 * MIB
    """Largest HTTP body, in bytes; STREAMPROC_MAX_MESSAGE_BYTES bounds each request in it."""
    max_header_bytes: Annotated[int, bytes_between(1 * KIB, 1 * MIB)] = 32 * KIB
    """Largest request line and headers together, in bytes."""
    body_timeout_s: float = Field(30.0, gt=0, le=3600)
    """Seconds that headers may take to arrive, and after them a body."""
    max_batch: int = Field(256, ge=1, le=100_000)
    """Most requests in one body."""
    max_in_flight: int = Field(1024, ge=1)
    """Requests on their way at a time; above it callers are told to come again."""
    max_in_flight_bytes: Annotated[int, bytes_between(1 * MIB)] = 64 * MIB
    """Bytes of requests on their way at a time; above it callers are told to come again."""
    keep_s: float = Field(600.0, gt=0, le=86_400)
    """Seconds that answers are kept for who asks later, or again with the same Idempotency-Key."""
    keep_bytes: Annotated[int, bytes_between(0)] = 64 * MIB
    """Bytes of answers that are kept; the oldest go first."""

    keys_file: Path | None = None
    """File of API keys, as `streamproc gateway keys` writes it; without it callers need none."""
    jwks: str | None = None
    """File or URL of the public keys (JWKS) that callers' tokens (JWT) are checked with."""
    jwt_audience: str | None = None
    """The audience that a token must name."""
    jwt_issuer: str | None = None
    """The issuer that a token must name."""
    jwt_algorithms: Annotated[Names, AfterValidator(_with_public_keys)] = ("RS256", "ES256")
    """Algorithms that tokens may be signed with, separated by commas."""
    requests_per_minute: int = Field(0, ge=0)
    """Requests that a caller may ask in a minute, those in lists counted; 0: no limit."""
    characters_per_minute: int = Field(0, ge=0)
    """Characters of requests that a caller may send in a minute; 0: no limit."""
    without_keys: bool = False
    """Listen beyond this machine though callers need no key."""
    cors_origins: Names = ()
    """Origins whose pages may ask, as https://host:port, separated by commas; *: all."""
    ssl_certfile: Path | None = None
    """PEM file with the certificate; with it the gateway speaks HTTPS."""
    ssl_keyfile: Path | None = None
    """PEM file with the certificate's private key."""


def read_gateway_settings(**flags: Any) -> GatewaySettings:
    """The settings of this gateway; a flag that is None was not given.

    Raises SettingsError naming every variable that is wrong, and what is allowed.
    """
    return read(GatewaySettings, flags)
