"""Addresses in settings, hosts and lists of brokers, checked before anything connects to them."""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import urlsplit

KAFKA_PORT: Final = 9092
CACHE_PORT: Final = 6379
_CACHE_SCHEMES: Final = ("valkey", "valkeys", "redis", "rediss")
_MAX_HOST_CHARACTERS: Final = 253
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST: Final = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}\.?", re.IGNORECASE)
_BROKER: Final = re.compile(r"(\[.*\]|[^:\[\]]*)(?::([^:]*))?")


def checked_brokers(value: str) -> str:
    """The brokers as `host:port,…`; raises ValueError, whose message never holds a password.

    A broker without a port gets Kafka's usual one; empty parts of the list are skipped.
    """
    if "@" in value:
        raise ValueError(
            "an address must not contain a user or password; set "
            "STREAMPROC_KAFKA_SASL_USERNAME and STREAMPROC_KAFKA_SASL_PASSWORD"
        )
    brokers = [_checked_broker(part.strip()) for part in value.split(",") if part.strip()]
    if not brokers:
        raise ValueError("names no broker; give host:port, several of them separated by commas")
    return ",".join(brokers)


def checked_registries(value: str | None) -> str | None:
    """The URLs of schema registries; raises ValueError, whose message never holds a password."""
    if value is None or not value.strip():
        return None
    if "@" in value:
        raise ValueError(
            "a URL must not contain a user or password; set STREAMPROC_SCHEMA_REGISTRY_USERNAME "
            "and STREAMPROC_SCHEMA_REGISTRY_PASSWORD"
        )
    urls = [part.strip().rstrip("/") for part in value.split(",") if part.strip()]
    for url in urls:
        try:
            parts = urlsplit(url)
            is_address = parts.scheme in ("http", "https") and parts.port != 0
            checked_host(parts.hostname or "")
        except ValueError:
            is_address = False
        if not is_address or re.search(r"\s", url):
            raise ValueError(f"{url!r} is no URL; give one as https://registry.example.com")
    return ",".join(urls)


def checked_cache(value: str | None) -> str | None:
    """The URL of a Valkey or Redis; raises ValueError, whose message never holds a password."""
    if value is None or not value.strip():
        return None
    url = value.strip()
    if "@" in url:
        raise ValueError(
            "a URL must not contain a user or password; set STREAMPROC_CACHE_USERNAME and "
            "STREAMPROC_CACHE_PASSWORD"
        )
    try:
        parts = urlsplit(url)
        is_address = (
            parts.scheme in _CACHE_SCHEMES
            and parts.port != 0
            and re.fullmatch(r"(/[0-9]{0,5})?", parts.path) is not None
            and not parts.query
            and not parts.fragment
        )
        checked_host(parts.hostname or "")
    except ValueError:
        is_address = False
    if not is_address:
        raise ValueError(
            f"{url!r} is no address of a Valkey or Redis; give one as "
            "valkey://cache.example.com:6379/0, or valkeys:// for TLS"
        )
    return url


def checked_host(value: str) -> str:
    """A host name, an IPv4 or an IPv6 address, without brackets; raises ValueError."""
    if ":" in value:
        return _checked_ipv6(value)
    try:
        name = value.encode("idna").decode("ascii")
    except UnicodeError:
        name = ""
    if len(name) > _MAX_HOST_CHARACTERS or not _HOST.fullmatch(name):
        raise ValueError(f"{value!r} is not a host name or an IP address")
    return value


def _checked_broker(broker: str) -> str:
    if "://" in broker:
        raise ValueError(
            f"{broker!r} begins with a scheme; give host:port, and say with "
            "STREAMPROC_KAFKA_SECURITY_PROTOCOL which protocol to use"
        )
    if re.search(r"[;\s]", broker):
        raise ValueError(f"{broker!r}: separate brokers with commas")
    parts = _BROKER.fullmatch(broker)
    if parts is None:
        raise ValueError(
            f"{broker!r} is not host:port; write an IPv6 address in brackets, as in [::1]:9092"
        )
    host, port = parts[1], KAFKA_PORT if parts[2] is None else _checked_port(parts[2])
    if host.startswith("["):
        return f"[{_checked_ipv6(host[1:-1])}]:{port}"
    return f"{checked_host(host)}:{port}"


def _checked_port(port: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) < 2**16:
        raise ValueError(f"port {port!r} is not a number from 1 to 65535")
    return int(port)


def _checked_ipv6(address: str) -> str:
    try:
        return str(IPv6Address(address))
    except ValueError:
        raise ValueError(f"{address!r} is not an IPv6 address") from None
