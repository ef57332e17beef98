"""Settings of `streamproc gateway` alone, as `STREAMPROC_GATEWAY_*`; no worker reads them."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from streamproc.settings.addresses import checked_host
from streamproc.settings.reading import PREFIX, port_or, read
from streamproc.settings.sizes import KIB, MIB, bytes_between

GATEWAY_PREFIX: Final = f"{PREFIX}GATEWAY_"
GATEWAY_PORT: Final = 8080


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
    """Seconds that a body may take to arrive."""
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


def read_gateway_settings(**flags: Any) -> GatewaySettings:
    """The settings of this gateway; a flag that is None was not given.

    Raises SettingsError naming every variable that is wrong, and what is allowed.
    """
    return read(GatewaySettings, flags)
