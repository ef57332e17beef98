"""Where a Valkey or Redis is, and how it is spoken to."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from streamproc.errors import SettingsError
from streamproc.settings import Settings
from streamproc.settings.addresses import CACHE_PORT


@dataclass(frozen=True, slots=True)
class Address:
    """username, password: None: none is sent
    cafile: with the authority to trust; None: those of the system
    """

    host: str
    port: int
    database: int
    tls: bool
    username: str | None
    password: str | None
    cafile: Path | None

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """That of the settings; None where they name none. Raises SettingsError."""
        if settings.cache_url is None:
            return None
        parts = urlsplit(settings.cache_url)
        tls, cafile = parts.scheme in {"valkeys", "rediss"}, settings.cache_ssl_cafile
        if tls and cafile is not None:
            _require_certificates(cafile)
        password = settings.cache_password
        return cls(
            host=parts.hostname or "",
            port=parts.port or CACHE_PORT,
            database=int(parts.path.strip("/") or 0),
            tls=tls,
            username=settings.cache_username,
            password=None if password is None else password.get_secret_value(),
            cafile=cafile,
        )

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def for_client(self) -> dict[str, Any]:
        """As keyword arguments of valkey-py's client."""
        found: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "db": self.database,
            "username": self.username,
            "password": self.password,
        }
        if self.tls:
            found |= {"ssl": True, "ssl_check_hostname": True}
            if self.cafile is not None:
                found["ssl_ca_certs"] = str(self.cafile)
        return found


def _require_certificates(cafile: Path) -> None:
    try:
        ssl.create_default_context(cafile=cafile)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"STREAMPROC_CACHE_SSL_CAFILE={cafile} can't be used: {error}; name a PEM file with "
            "the certificate of the authority that signed the cache's"
        ) from None
