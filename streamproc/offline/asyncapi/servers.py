"""The brokers, and how one is let in, as the settings say; secrets are left out."""

from __future__ import annotations

from typing import Any

from streamproc.settings import Settings

_SASL = {"PLAIN": "plain", "SCRAM-SHA-256": "scramSha256", "SCRAM-SHA-512": "scramSha512"}


def servers(settings: Settings) -> dict[str, Any]:
    """Each broker of the settings."""
    schemes = security_schemes(settings)
    server: dict[str, Any] = {
        "protocol": "kafka-secure" if "SSL" in settings.kafka_security_protocol else "kafka",
    }
    if schemes:
        server["security"] = [{"$ref": f"#/components/securitySchemes/{name}"} for name in schemes]
    if settings.schema_registry_url is not None:
        url = settings.schema_registry_url.split(",")[0].strip()
        binding = {"schemaRegistryUrl": url, "bindingVersion": "0.5.0"}
        server["bindings"] = {"kafka": binding}
    brokers = [one.strip() for one in settings.kafka_bootstrap_servers.split(",")]
    return {f"broker-{at}": {"host": host, **server} for at, host in enumerate(brokers, start=1)}


def security_schemes(settings: Settings) -> dict[str, Any]:
    """What clients show to be let in; nothing where anybody is."""
    schemes: dict[str, Any] = {}
    if settings.kafka_security_protocol.startswith("SASL"):
        mechanism = settings.kafka_sasl_mechanism
        schemes["sasl"] = {"type": _SASL[mechanism], "description": f"SASL {mechanism}."}
    if "SSL" in settings.kafka_security_protocol and settings.kafka_ssl_certfile is not None:
        schemes["certificate"] = {"type": "X509", "description": "A client certificate."}
    return schemes
