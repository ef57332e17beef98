"""A Kafka whose ports ask for users and certificates, right ones and wrong ones."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography import x509

from streamproc.kafka.embedded import EmbeddedBroker
from streamproc.kafka.embedded.config import Listener
from streamproc.kafka.embedded.ports import free_port
from streamproc.kafka.embedded.tools import tool_command
from streamproc.settings import read_settings
from tests.support.certificates import Authority

USER, PASSWORD = "worker", "correct horse"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"


@dataclass(frozen=True)
class SecuredKafka:
    """ports: by what is behind them: plain, tls, other-name, expired, mutual, sasl, scram, sasl-tls
    authority: that signed what brokers show, and clients of `mutual`; stranger: did not
    """

    ports: dict[str, int]
    authority: Authority
    stranger: Authority

    def address(self, what: str) -> str:
        """Of the port that is called so."""
        return f"127.0.0.1:{self.ports[what]}"


def login_listener(port: int, password: str = PASSWORD) -> Listener:
    """A port where the user logs in by a password, in plain text."""
    module = "org.apache.kafka.common.security.plain.PlainLoginModule"
    login = f'{module} required user_{USER}="{password}";'
    settings = {"sasl.enabled.mechanisms": "PLAIN", "plain.sasl.jaas.config": login}
    return Listener("SASL", port, "SASL_PLAINTEXT", settings)


@contextmanager
def secured_kafka(folder: Path) -> Iterator[SecuredKafka]:
    """Runs one."""
    authority, stranger = Authority(folder), Authority(folder, "stranger")
    ports = {name: free_port() for name in ("tls", "other-name", "expired", "mutual")}
    ports |= {name: free_port() for name in ("sasl", "scram", "sasl-tls")}
    good = _shown(folder, *authority.issue("good"))
    other = _shown(folder, *authority.issue("other", x509.DNSName("kafka.example")))
    expired = _shown(folder, *authority.issue("expired", ends_in=-timedelta(days=1)))
    trusted = {
        "ssl.client.auth": "required",
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.certificate),
    }
    login = login_listener(ports["sasl"])
    scram = {"sasl.enabled.mechanisms": "SCRAM-SHA-256", "scram-sha-256.sasl.jaas.config": _SCRAM}
    listeners = [
        Listener("TLS", ports["tls"], "SSL", good),
        Listener("OTHERNAME", ports["other-name"], "SSL", other),
        Listener("EXPIRED", ports["expired"], "SSL", expired),
        Listener("MUTUAL", ports["mutual"], "SSL", {**good, **trusted}),
        login,
        Listener("SCRAM", ports["scram"], "SASL_PLAINTEXT", scram),
        Listener("SASLTLS", ports["sasl-tls"], "SASL_SSL", {**good, **login.settings}),
    ]
    with EmbeddedBroker(
        folder / "kafka", cache_dir=read_settings().cache_dir, more_listeners=listeners
    ) as broker:
        ports["plain"] = int(broker.bootstrap_servers.rpartition(":")[2])
        _add_scram_user(broker.bootstrap_servers)
        yield SecuredKafka(ports, authority, stranger)


def _shown(folder: Path, certificate: Path, key: Path) -> dict[str, str]:
    """What a listener shows: certificate and key in one file, as Kafka reads PEM."""
    both = folder / f"{certificate.stem}-and-key.pem"
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    return {"ssl.keystore.type": "PEM", "ssl.keystore.location": str(both)}


def _add_scram_user(bootstrap_servers: str) -> None:
    added = ("--alter", "--add-config", f"SCRAM-SHA-256=[password={PASSWORD}]")
    named = ("--entity-type", "users", "--entity-name", USER)
    command = tool_command(
        "kafka-configs", [*added, *named], bootstrap_servers, read_settings().cache_dir
    )
    subprocess.run(command, check=True, capture_output=True, timeout=120)
