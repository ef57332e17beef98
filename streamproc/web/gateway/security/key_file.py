"""API keys: made once and shown once; the file has their hashes, and what each may ask.

A key is 256 random bits, so that one round of SHA-256 is enough: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import secrets
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import structlog
import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from streamproc.clock import Clock
from streamproc.errors import SettingsError
from streamproc.messages.validation import describe
from streamproc.repository.files import atomic_write

KEY_PREFIX: Final = "spk_"
LOOK_AGAIN_S: Final = 1.0

log = structlog.get_logger(__name__)

KeyName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,99}$")]


class ApiKey(BaseModel):
    """A key as it is kept.

    created: when, as RFC 3339
    requests_per_minute, characters_per_minute: instead of the gateway's; 0: no limit
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    name: KeyName
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    created: str
    requests_per_minute: int | None = Field(None, ge=0)
    characters_per_minute: int | None = Field(None, ge=0)


class _Keys(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    keys: list[ApiKey] = Field(default_factory=list)


def new_key() -> str:
    """A key, to be shown to its owner and not kept."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def hashed(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def read_keys(file: Path) -> list[ApiKey]:
    """The keys in a file; none where there is no file. Raises SettingsError."""
    try:
        return _Keys.model_validate(tomllib.loads(file.read_text("utf-8"))).keys
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError(f"{file}: not TOML: {error}") from None
    except ValidationError as error:
        raise SettingsError(f"{file}: {describe(error)}") from None


def write_keys(file: Path, keys: list[ApiKey]) -> None:
    """Replace the file as a whole, for its owner's eyes alone."""
    content = tomli_w.dumps({"keys": [key.model_dump(exclude_none=True) for key in keys]})
    atomic_write(file, content, mode=0o600)


class KeyFile:
    """The keys of a running gateway: a change of the file counts a second later."""

    def __init__(self, file: Path, clock: Clock) -> None:
        """Raises SettingsError where the file can't be read."""
        self._file = file
        self._clock = clock
        self._changed = self._version()
        self._keys: Mapping[str, ApiKey] = {key.sha256: key for key in read_keys(file)}
        self._looked_at_s = clock.monotonic_s()

    def find(self, key: str) -> ApiKey | None:
        """The key, where it is one; of a file that was spoilt meanwhile those before count."""
        now_s = self._clock.monotonic_s()
        if now_s - self._looked_at_s >= LOOK_AGAIN_S:
            self._looked_at_s = now_s
            version = self._version()
            if version != self._changed:
                self._changed = version
                self._read()
        return self._keys.get(hashed(key))

    def _read(self) -> None:
        try:
            self._keys = {key.sha256: key for key in read_keys(self._file)}
        except SettingsError as error:
            log.warning("keys can't be read, those known before count", reason=str(error))

    def _version(self) -> tuple[int, int, int] | None:
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
