"""What is kept under a key, and the form that it has outside of this process."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, Self

_CHECKSUM_BYTES: Final = 16
_TIME_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Kept:
    """A value, and when it was made, in milliseconds since the epoch."""

    value: bytes
    made_ms: int

    def sealed(self, key: bytes) -> bytes:
        """The bytes to store elsewhere: checksum, time, value."""
        content = self.made_ms.to_bytes(_TIME_BYTES, "big") + self.value
        return _checksum(key, content) + content

    @classmethod
    def opened(cls, key: bytes, sealed: bytes) -> Self | None:
        """What was sealed for this key; None where these bytes are damaged, or another key's."""
        checksum, content = sealed[:_CHECKSUM_BYTES], sealed[_CHECKSUM_BYTES:]
        if len(content) < _TIME_BYTES or checksum != _checksum(key, content):
            return None
        return cls(content[_TIME_BYTES:], int.from_bytes(content[:_TIME_BYTES], "big"))


def _checksum(key: bytes, content: bytes) -> bytes:
    """Of both, so that an answer to another key's question is never taken for this one's.

    It guards against damage and mix-ups, not against whoever may write to the store.
    """
    digest = hashlib.blake2b(key, digest_size=_CHECKSUM_BYTES)
    digest.update(content)
    return digest.digest()
