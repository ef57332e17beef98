"""Why brokers let nobody in: credentials and certificates, which waiting won't mend.

Kafka's client logs the reason, and then says only that it could connect to none. So where it could
not, one more connection is made to each broker, and asked what stood against it.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import Any, Final

from aiokafka.conn import create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from streamproc.errors import KafkaRefused, NoKafka
from streamproc.kafka.security import connection_options
from streamproc.settings import Settings

_ANSWER_S: Final = 5.0
# Of OpenSSL's X509_V_ERR_*.
_EXPIRED, _NOT_YET_VALID, _WRONG_HOST, _WRONG_ADDRESS = 10, 9, 62, 64
# ApiVersions, version 0, of the client "s": what every broker answers before anything else.
_API_VERSIONS: Final = b"\x00\x00\x00\x0b\x00\x12\x00\x00\x00\x00\x00\x01\x00\x01s"
_TLS_ALERT: Final = b"\x15\x03"


async def no_kafka(settings: Settings, error: Exception) -> KafkaRefused | NoKafka:
    """The error to raise where no broker lets a client in, with the reason where that can be told.

    error: as Kafka's client raised it
    """
    refused = await refusal(settings)
    if refused is not None:
        return refused
    # aiokafka's own words for it repeat the addresses, as Python prints them.
    reason = "" if "Unable to bootstrap" in str(error) else f": {error}"
    protocol = settings.kafka_security_protocol
    kafka = "Kafka" if protocol == "PLAINTEXT" else f"Kafka that speaks {protocol}"
    return NoKafka(
        f"no {kafka} at {settings.kafka_bootstrap_servers}{reason}; start one "
        "(`streamproc broker`), or set STREAMPROC_KAFKA_BOOTSTRAP_SERVERS"
    )


async def refusal(settings: Settings) -> KafkaRefused | None:
    """What stands against every broker that is there; None: nothing that waiting might not mend."""
    options = connection_options(settings)
    servers = options.pop("bootstrap_servers")
    found = None
    for server in servers:
        host, _, port = server.rpartition(":")
        try:
            reason = await _reason(host.strip("[]"), int(port), options)
        except (OSError, TimeoutError, KafkaError):
            continue  # not there now, or not answering as Kafka does
        if reason is None:
            return None
        found = found or KafkaRefused(f"Kafka at {server} can't be used: {reason}")
    return found


async def _reason(host: str, port: int, options: dict[str, Any]) -> str | None:
    """Why one broker lets nobody in, with what to do; None: it does, or does not say."""
    protocol, context = options["security_protocol"], options["ssl_context"]
    try:
        answer = await _first_bytes(host, port, context)
    except ssl.SSLCertVerificationError as error:
        return _of_certificate(host, error)
    except ssl.SSLEOFError:
        raise  # closed without a word: by what speaks no TLS, or by what is about to end
    except ssl.SSLError as error:
        return _of_tls(error)
    if context is None and answer.startswith(_TLS_ALERT):
        return (
            f"it speaks TLS, and STREAMPROC_KAFKA_SECURITY_PROTOCOL is {protocol}; set it to "
            f"{'SASL_SSL' if protocol.startswith('SASL') else 'SSL'}"
        )
    return await _of_user(host, port, options) if protocol.startswith("SASL") else None


async def _of_user(host: str, port: int, options: dict[str, Any]) -> str | None:
    """Why a broker refuses a user and password; None: it does not."""
    protocol = options["security_protocol"]
    try:
        connection = await create_conn(
            host, port, request_timeout_ms=round(_ANSWER_S * 1000), **options
        )
    except SaslAuthenticationFailed as error:
        return (
            f"it refuses the user {options['sasl_plain_username']!r} ({error}); check "
            "STREAMPROC_KAFKA_SASL_USERNAME and STREAMPROC_KAFKA_SASL_PASSWORD"
        )
    except UnsupportedSaslMechanismError:
        return (
            f"it knows no {options['sasl_mechanism']}; set STREAMPROC_KAFKA_SASL_MECHANISM to what "
            "it was set up with"
        )
    except IllegalSaslStateError:
        return (
            f"it takes no user and password there, and STREAMPROC_KAFKA_SECURITY_PROTOCOL is "
            f"{protocol}; name the port that does, or set it to {protocol.removeprefix('SASL_')}"
        )
    connection.close()
    return None


async def _first_bytes(host: str, port: int, context: ssl.SSLContext | None) -> bytes:
    """How a broker answers to a first request; raises OSError, ssl.SSLError, TimeoutError."""
    async with asyncio.timeout(_ANSWER_S):
        reader, writer = await asyncio.open_connection(host, port, ssl=context)
        try:
            writer.write(_API_VERSIONS)
            # With TLS 1.3 that a client's certificate is refused comes only with the answer.
            return await reader.read(len(_API_VERSIONS))
        finally:
            writer.close()
            with suppress(OSError, ssl.SSLError):
                await writer.wait_closed()


def _of_certificate(host: str, error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code == _EXPIRED:
        return "its certificate has expired; it needs a new one"
    if error.verify_code == _NOT_YET_VALID:
        return "its certificate is not valid yet; compare the clocks of both machines"
    if error.verify_code in {_WRONG_HOST, _WRONG_ADDRESS}:
        return (
            f"its certificate is for another name than {host}; name it in "
            "STREAMPROC_KAFKA_BOOTSTRAP_SERVERS as its certificate does"
        )
    return (
        f"nobody that is trusted has signed its certificate ({error.verify_message}); name the "
        "authority's certificate in STREAMPROC_KAFKA_SSL_CAFILE"
    )


def _of_tls(error: ssl.SSLError) -> str:
    reason = (error.reason or "").replace("_", " ").lower()
    if "alert" in reason:
        return (
            f"it refuses the certificate of this client ({reason}); check "
            "STREAMPROC_KAFKA_SSL_CERTFILE and STREAMPROC_KAFKA_SSL_KEYFILE"
        )
    return (
        f"it speaks no TLS ({reason}); name the port that does, or set "
        "STREAMPROC_KAFKA_SECURITY_PROTOCOL to what it speaks"
    )
