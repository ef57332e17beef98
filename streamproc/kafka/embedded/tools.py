"""Kafka's own console tools, run from the jars of the embedded Kafka: no installation of Kafka."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from streamproc.errors import OperatorError
from streamproc.kafka.embedded.config import MIB
from streamproc.kafka.embedded.jars import kafka_jars, read_pins
from streamproc.kafka.embedded.java import find_java
from streamproc.maven import Progress, default_cache_dir

PINS_FILE = Path(__file__).with_name("tools.sha256")
_HEAP_BYTES = 256 * MIB

TOOLS = {
    "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-groups": "org.apache.kafka.tools.GroupsCommand",
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-transactions": "org.apache.kafka.tools.TransactionsCommand",
}
"""By the name that Kafka's scripts have, without `.sh`, the class that they run."""


def tool_command(
    name: str,
    arguments: Sequence[str],
    bootstrap_servers: str,
    cache_dir: Path | None = None,
    progress: Progress | None = None,
) -> list[str]:
    """The command line of a tool; the bootstrap servers are told unless the arguments name some.

    Fetches what the embedded Kafka itself does not need, once.
    Raises OperatorError when there is no such tool, EmbeddedBrokerError as `kafka_jars` does.
    """
    main = TOOLS.get(name.removesuffix(".sh"))
    if main is None:
        raise OperatorError(f"{name!r} is not a tool; choose from: {', '.join(TOOLS)}")
    named = any(one.startswith("--bootstrap-") for one in arguments)
    told = () if named else ("--bootstrap-server", bootstrap_servers)
    pins = (*read_pins(), *read_pins(PINS_FILE))
    jars = kafka_jars(cache_dir or default_cache_dir(), progress, pins)
    java = [str(find_java()), f"-Xmx{_HEAP_BYTES // MIB}m", "-XX:TieredStopAtLevel=1"]
    return [*java, "-cp", ":".join(map(str, jars)), main, *told, *arguments]


def run_tool(command: Sequence[str]) -> int:
    """Run a tool on this process's terminal; returns its exit code."""
    return subprocess.run(command, check=False).returncode  # noqa: S603  # the user's own words
