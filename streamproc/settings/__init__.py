"""Settings, read once from `STREAMPROC_*` and flags; nothing else reads the environment."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from streamproc.profile import Profile
from streamproc.settings.addresses import (
    checked_brokers,
    checked_cache,
    checked_host,
    checked_registries,
)
from streamproc.settings.environment import UnknownVariable, unknown_variables
from streamproc.settings.gateway import GATEWAY_PREFIX, GatewaySettings
from streamproc.settings.reading import PREFIX, Names, port_or, read
from streamproc.settings.sizes import KIB, MIB, Mebibytes, bytes_between, shown_bytes

WEB_PORT = 8080
LARGEST_MESSAGE_BYTES = 64 * MIB
MAX_LAG_S = 7 * 86_400

# Set in a wheel, which carries topics and models inside the package; a checkout has them beside it.
_PACKAGE = Path(__file__).parents[1]


def shipped(name: str) -> Path:
    inside = _PACKAGE / f"_{name}"
    return inside if inside.is_dir() else _PACKAGE.parent / name


def _device(value: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]{1,3})?", value):
        raise ValueError("must be auto, cpu, cuda or cuda:N")
    return value


def _versions(value: tuple[str, ...]) -> tuple[str, ...]:
    names = set()
    for one in value:
        name, _, version = one.partition("=")
        if not (name and version):
            raise ValueError(f"{one!r}: expected NAME=VERSION, as in sentiment=2")
        if name in names:
            raise ValueError(f"names two versions of {name}")
        names.add(name)
    return value


class Settings(BaseSettings):
    """Every setting. The environment overrides a default, a flag overrides both."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        extra="ignore",
        frozen=True,
        validate_default=True,
        use_attribute_docstrings=True,
    )

    kafka_bootstrap_servers: Annotated[str, AfterValidator(checked_brokers)] = "127.0.0.1:9092"
    """Kafka brokers as host:port, separated by commas."""
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """Security protocol of the connections to the brokers."""
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    """SASL mechanism; used with SASL_PLAINTEXT and SASL_SSL."""
    kafka_sasl_username: str | None = None
    """SASL user name."""
    kafka_sasl_password: SecretStr | None = None
    """SASL password."""
    kafka_ssl_cafile: Path | None = None
    """PEM file with the certificate authority's certificate."""
    kafka_ssl_certfile: Path | None = None
    """PEM file with the client certificate."""
    kafka_ssl_keyfile: Path | None = None
    """PEM file with the client's private key."""

    schema_registry_url: Annotated[str | None, AfterValidator(checked_registries)] = None
    """Schema registries of routes in Avro or JSON Schema, as URLs separated by commas."""
    schema_registry_username: str | None = None
    """User name at the schema registry."""
    schema_registry_password: SecretStr | None = None
    """Password at the schema registry."""
    schema_registry_ssl_cafile: Path | None = None
    """PEM file with the certificate of the schema registry's certificate authority."""

    group_id: str = Field("streamproc", min_length=1, max_length=200)
    """Consumer group; workers of one group share the topic-partitions."""
    group_instance_id: str | None = Field(None, pattern=r"^[A-Za-z0-9._-]{1,200}$")
    """Name of this worker that outlives its restarts, e.g. the pod's: a restart within the session
    time-out moves no topic-partitions (Kafka's static membership); none by default."""
    models_dir: Path = shipped("models")
    """Folder of ensembles."""
    topics_dir: Path = shipped("topics")
    """Folder of topic descriptions."""
    routes_dir: Path | None = None
    """Folder of routes, beside those in the folder of topics; none by default."""
    tasks: Names = ()
    """Tasks to serve, separated by commas; empty: all that have an ensemble."""
    model_versions: Annotated[Names, AfterValidator(_versions)] = ()
    """Versions of ensembles that this process serves whatever else is promoted, as NAME=VERSION,
    separated by commas."""
    model_key: Path | None = None
    """PEM file with the public keys one of which has to have signed an ensemble for it to be
    loaded; none by default: signatures are not asked for."""
    device: Annotated[str, AfterValidator(_device)] = "auto"
    """Where models run: auto (CUDA where it works, else the CPU), cpu, cuda or cuda:N."""
    threads: int = Field(0, ge=0, le=1024)
    """Threads that run models; 0: one per CPU core this process may use."""
    delivery: Literal["at_least_once", "exactly_once", "fast"] = "at_least_once"
    """What is promised of responses: at_least_once (stored by all replicas before their request is
    committed), exactly_once (stored and committed in one transaction), or fast (acks=1)."""
    transaction_interval_ms: int = Field(100, ge=10, le=10_000)
    """Milliseconds from one transaction of a topic-partition to the next, with exactly_once."""
    transaction_timeout_s: float = Field(60.0, ge=1, le=3600)
    """Seconds after which the brokers abort a transaction that was left open, with exactly_once."""
    profile: Profile = "full"
    """Which members of an ensemble are asked: full (all of them), cascade, or trusted; topics and
    routes may say otherwise."""
    brown_out_lag_s: float = Field(0.0, ge=0, le=MAX_LAG_S)
    """Seconds that requests may wait before fewer members are asked until they do not; 0: however
    long; topics and routes may say otherwise."""
    reply_topics: Names = ()
    """Topics that a request may name in its reply-topic header, separated by commas."""
    copy_headers: Names = ()
    """Headers copied from request to response, separated by commas; *: all."""

    max_message_bytes: Annotated[int, bytes_between(1 * KIB, LARGEST_MESSAGE_BYTES)] = 1 * MIB
    """Largest request that is answered, in bytes; the default is Kafka's own limit."""
    max_in_flight_bytes: Annotated[int, bytes_between(1 * MIB)] = 64 * MIB
    """Bytes of requests in flight per lane; fetching pauses above it."""
    max_queued_tokens: int = Field(262_144, ge=1024)
    """Tokens that may wait for a batch, per ensemble and lane."""
    max_document_chunks: int = Field(16, ge=1, le=4096)
    """Chunks of one document in flight at a time, so that short requests get a turn."""
    max_decoding_rows: int = Field(32, ge=1, le=4096)
    """Sequences decoded at a time, per ensemble and lane; each beam counts."""
    max_decoding_tokens: int = Field(65_536, ge=1024)
    """Tokens that the KV caches may hold, per ensemble and lane."""
    batch_budget_tokens: int = Field(0, ge=0, le=4_194_304)
    # The defaults by device are in worker/models.py.
    """Tokens per batch, padding included; 0: 512 on a CPU, 16384 on a GPU."""
    max_resident_mb: Mebibytes = Field(0, ge=0)
    """MiB for the loaded stages of split models; 0: all stages stay loaded."""
    batch_max_wait_ms: int = Field(0, ge=0, le=10_000)
    """Milliseconds that a batch with room left waits for more requests."""
    call_timeout_s: float = Field(30.0, gt=0, le=3600)
    """Seconds one member may take for one batch; then it counts as late."""
    canary_interval_s: float = Field(10.0, ge=0, le=3600)
    """Seconds from one canary through each ensemble to the next; 0: none is sent."""
    canary_timeout_s: float = Field(30.0, gt=0, le=3600)
    """Seconds that a canary may take before the worker is not ready."""
    dead_letter_burst: int = Field(20, ge=0, le=100_000)
    """Requests that may become dead letters by the worker's own fault before it ends; 0: any
    number."""
    dead_letter_ratio: float = Field(0.5, ge=0.001, le=1)
    """Share of requests that may, above which the worker ends once the burst is used up."""
    drain_timeout_s: float = Field(30.0, ge=0, le=3600)
    """Seconds to finish requests in flight after SIGTERM."""
    session_timeout_s: float = Field(30.0, ge=6, le=300)
    """Seconds without a heartbeat until Kafka reassigns the topic-partitions."""
    ready_lag_s: float = Field(30.0, gt=0, le=MAX_LAG_S)
    """Seconds a commit may be overdue, or a group let it read nothing, before it is not ready."""

    cache_bytes: Annotated[int, bytes_between(0)] = 0
    """Bytes of answers that are kept in memory for requests that ask the same; 0: none."""
    cache_url: Annotated[str | None, AfterValidator(checked_cache)] = None
    """Valkey or Redis in which workers share these answers, as valkey://host:port/database."""
    cache_username: str | None = None
    """User name at that server."""
    cache_password: SecretStr | None = None
    """Password at that server."""
    cache_ssl_cafile: Path | None = None
    """PEM file with the certificate of that server's certificate authority, for valkeys://."""
    cache_tasks: Names = ()
    """Tasks whose answers are kept, separated by commas; empty: all."""
    cache_ttl_s: float = Field(86_400.0, ge=1, le=365 * 86_400)
    """Seconds that an answer is kept at most."""
    cache_timeout_ms: int = Field(50, ge=1, le=10_000)
    """Milliseconds that the shared cache may take before requests are answered without it."""

    web_host: Annotated[str, AfterValidator(checked_host)] = "127.0.0.1"
    """Address that health and metrics listen on."""
    web_port: Annotated[int, BeforeValidator(port_or(WEB_PORT))] = Field(WEB_PORT, ge=0, le=65535)
    """Port of health and metrics; 0: any free port."""
    state_interval_s: float = Field(2.0, ge=0, le=60)
    """Seconds between two states that a worker publishes for `streamproc status`; 0: none."""
    log_format: Literal["auto", "json", "console"] = "auto"
    """Log format; auto: console on a terminal, JSON elsewhere."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest level that is logged."""
    data: Path | None = None
    """Folder of data sets, for training and tests only."""
    cache_dir: Path | None = None
    """Folder where what is fetched is kept: the embedded Kafka's jars, base models."""

    @property
    def pinned_versions(self) -> dict[str, str]:
        """The versions of `model_versions`, by the name of their ensemble."""
        return dict(one.split("=", 1) for one in self.model_versions)

    @property
    def max_resident_bytes(self) -> int | None:
        """Bytes for the loaded stages of split models; None: no limit."""
        return self.max_resident_mb * MIB or None

    def without_passwords(self) -> Self:
        """The same settings for another machine, which is to know no password."""
        secret = {name: None for name, value in self if isinstance(value, SecretStr)}
        return self.model_copy(update=secret)

    def shown(self) -> dict[str, str]:
        """Every setting as text, by the name of its variable; secrets are hidden."""
        return {PREFIX + name.upper(): shown_value(name, value) for name, value in self}


def shown_value(name: str, value: Any) -> str:
    """A setting's value as text, in a form that the setting accepts."""
    if name.endswith("_bytes"):
        return shown_bytes(value)
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "" if value is None else str(value)


def unknown_settings() -> tuple[UnknownVariable, ...]:
    """Environment variables that look like settings and are not, for a warning."""
    of_gateways = GATEWAY_PREFIX.removeprefix(PREFIX)
    known = [
        *(name.upper() for name in Settings.model_fields),
        *(of_gateways + name.upper() for name in GatewaySettings.model_fields),
    ]
    return unknown_variables(os.environ, PREFIX, known)


def read_settings(**flags: Any) -> Settings:
    """The settings of this process; a flag that is None was not given.

    Raises SettingsError naming every variable that is wrong, and what is allowed.
    """
    return read(Settings, flags)
