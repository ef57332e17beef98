"""How brokers are reached: the same options for Faust, producer, consumers and admin client."""

from __future__ import annotations

import ssl
from typing import Any

from aiokafka.helpers import create_ssl_context
from faust.auth import SASLCredentials, SSLCredentials

from streamproc.errors import SettingsError
from streamproc.settings import Settings


def bootstrap_servers(settings: Settings) -> list[str]:
    """The brokers, each as host:port."""
    return [part.strip() for part in settings.kafka_bootstrap_servers.split(",") if part.strip()]


def connection_options(settings: Settings) -> dict[str, Any]:
    """Keyword arguments that every aiokafka client takes to connect.

    Raises SettingsError when a certificate can't be read, or a user is missing.
    """
    protocol = settings.kafka_security_protocol
    options: dict[str, Any] = {
        "bootstrap_servers": bootstrap_servers(settings),
        "security_protocol": protocol,
        "ssl_context": _ssl_context(settings) if protocol.endswith("SSL") else None,
    }
    if protocol.startswith("SASL"):
        username, password = _user(settings)
        options |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": username,
            "sasl_plain_password": password,
        }
    return options


def faust_credentials(settings: Settings) -> SASLCredentials | SSLCredentials | None:
    """The same as Faust wants it; None for PLAINTEXT."""
    protocol = settings.kafka_security_protocol
    context = _ssl_context(settings) if protocol.endswith("SSL") else None
    if protocol.startswith("SASL"):
        username, password = _user(settings)
        credentials = SASLCredentials(
            username=username,
            password=password,
            ssl_context=context,
            mechanism=settings.kafka_sasl_mechanism,
        )
        # Faust takes SASL_PLAINTEXT for granted unless a context is there; say it either way.
        credentials.protocol = _protocol(protocol)
        return credentials
    return SSLCredentials(context) if context is not None else None


def _protocol(name: str) -> Any:
    from faust.types.auth import AuthProtocol  # noqa: PLC0415 - faust types load slowly

    return AuthProtocol(name)


def _ssl_context(settings: Settings) -> ssl.SSLContext:
    files = (settings.kafka_ssl_cafile, settings.kafka_ssl_certfile, settings.kafka_ssl_keyfile)
    try:
        return create_ssl_context(  # type: ignore[no-any-return]
            **{
                name: str(path)
                for name, path in zip(("cafile", "certfile", "keyfile"), files, strict=True)
                if path is not None
            }
        )
    except (OSError, ValueError, ssl.SSLError) as error:
        named = ", ".join(str(path) for path in files if path is not None) or "none"
        raise SettingsError(
            f"the files named by STREAMPROC_KAFKA_SSL_* ({named}) can't be used: {error}"
        ) from None


def _user(settings: Settings) -> tuple[str, str]:
    if settings.kafka_sasl_username is None or settings.kafka_sasl_password is None:
        raise SettingsError(
            f"STREAMPROC_KAFKA_SECURITY_PROTOCOL={settings.kafka_security_protocol} needs "
            "STREAMPROC_KAFKA_SASL_USERNAME and STREAMPROC_KAFKA_SASL_PASSWORD"
        )
    return settings.kafka_sasl_username, settings.kafka_sasl_password.get_secret_value()
