"""The configuration of a Kafka that is one node: broker and controller in one process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MIB = 1024 * 1024
# Twice the largest request that may be answered (64 MiB), with room for a batch's framing;
# every topic sets its own, smaller limit.
MAX_MESSAGE_BYTES = 160 * MIB

_LOG4J = """\
status=error
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{yyyy-MM-dd HH:mm:ss,SSS} %p %c{1} %m%n
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
logger.server.name=kafka.server
logger.server.level=info
"""


@dataclass(frozen=True)
class Layout:
    """Where a broker keeps what, inside its data folder."""

    root: Path

    @property
    def data(self) -> Path:
        """Topics, and the cluster's id in meta.properties."""
        return self.root / "kafka"

    @property
    def log(self) -> Path:
        return self.root / "broker.log"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def server_properties(self) -> Path:
        return self.root / "server.properties"

    @property
    def log4j_properties(self) -> Path:
        return self.root / "log4j2.properties"

    @property
    def scratch(self) -> Path:
        """Where the JVM unpacks native libraries."""
        return self.root / "tmp"


@dataclass(frozen=True)
class Listener:
    """One more port that Kafka listens at, on this machine only, as for tests of TLS, SASL and
    connections that are cut.

    name: letters, by which its settings are told apart
    protocol: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL
    settings: in Kafka's own words, without the prefix that says whose they are
    advertised_port: where clients are told to connect; 0: at its own, as no proxy stands before it
    """

    name: str
    port: int
    protocol: str
    settings: Mapping[str, str]
    advertised_port: int = 0

    @property
    def address(self) -> str:
        """Where it listens, as Kafka has it."""
        return f"{self.name}://127.0.0.1:{self.port}"

    @property
    def advertised(self) -> str:
        """Where clients are told to connect, as Kafka has it."""
        return f"{self.name}://127.0.0.1:{self.advertised_port or self.port}"


def server_properties(
    layout: Layout, port: int, controller_port: int, more: Sequence[Listener] = ()
) -> dict[str, str]:
    """Kafka's settings for one node that listens on this machine only."""
    own = f"PLAINTEXT://127.0.0.1:{port}"
    addresses = [own, *(one.address for one in more)]
    protocols = ["PLAINTEXT:PLAINTEXT", *(f"{one.name}:{one.protocol}" for one in more)]
    settings: dict[str, str | int] = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": ",".join([*addresses, f"CONTROLLER://127.0.0.1:{controller_port}"]),
        "advertised.listeners": ",".join([own, *(one.advertised for one in more)]),
        "listener.security.protocol.map": ",".join([*protocols, "CONTROLLER:PLAINTEXT"]),
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": layout.data.as_posix(),
        # Topics are described in files and applied; one that a typo made would hide the typo.
        "auto.create.topics.enable": "false",
        "num.partitions": 1,
        "default.replication.factor": 1,
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "replica.fetch.max.bytes": MAX_MESSAGE_BYTES,
        "socket.request.max.bytes": MAX_MESSAGE_BYTES + 16 * MIB,
        "log.retention.hours": 168,
        # Kafka takes this from the heap at once, 128 MiB unless told otherwise.
        "log.cleaner.dedupe.buffer.size": 16 * MIB,
        # One node can hold one copy of Kafka's own topics, and few are made quickly.
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 4,
        "group.initial.rebalance.delay.ms": 0,
    }
    for one in more:
        for name, value in one.settings.items():
            settings[f"listener.name.{one.name.lower()}.{name}"] = value
    return {name: str(value) for name, value in settings.items()}


def write_config(
    layout: Layout,
    port: int,
    controller_port: int,
    more: Sequence[Listener] = (),
    more_settings: Mapping[str, str] | None = None,
) -> None:
    """Writes what Kafka and its logging read at start into the data folder.

    more_settings: instead of ours and beside them, in Kafka's own words
    """
    settings = server_properties(layout, port, controller_port, more) | dict(more_settings or {})
    lines = [f"{name}={_escaped(value)}\n" for name, value in settings.items()]
    layout.server_properties.write_text("".join(lines), "utf-8")
    layout.log4j_properties.write_text(_LOG4J, "utf-8")
    layout.scratch.mkdir(exist_ok=True)


def jvm_arguments(layout: Layout, memory_mb: int, jars: tuple[Path, ...]) -> list[str]:
    """What stands between `java` and the main class: quick to start, small to run."""
    return [
        f"-Xmx{memory_mb}m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:-UsePerfData",
        # A broker without memory answers nothing and keeps its port: better that it ends.
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
        f"-Djava.io.tmpdir={layout.scratch}",
        f"-Dlog4j2.configurationFile={layout.log4j_properties.as_uri()}",
        "-cp",
        ":".join(map(str, jars)),
    ]


def _escaped(value: str) -> str:
    """A value as Java reads it from a properties file, which is Latin-1 with escapes."""
    escaped = value.replace("\\", "\\\\")
    units = escaped.encode("utf-16-be")
    codes = [int.from_bytes(units[i : i + 2], "big") for i in range(0, len(units), 2)]
    return "".join(chr(code) if code < 0x7F else f"\\u{code:04x}" for code in codes)
