"""Values kept in this process within a size in bytes; those not asked for longest go first."""

from __future__ import annotations

from typing import Final

from cachetools import TLRUCache
from prometheus_client import Counter

from streamproc.caching.kept import Kept
from streamproc.clock import Clock
from streamproc.metrics import Metrics

ENTRY_BYTES: Final = 640
"""What an entry takes beside its value: its key, and its places in dictionaries, list and heap."""


class MemoryStore:
    """Keeps what is not older than `ttl_s`, and no more than `max_bytes` of it."""

    def __init__(self, max_bytes: int, ttl_s: float, clock: Clock, metrics: Metrics) -> None:
        ttl_ms = round(ttl_s * 1000)
        self._entries = _Entries(max_bytes, ttl_ms, clock, metrics.cache_evictions)
        self._max_bytes = max_bytes
        metrics.cache_max_bytes.set(max_bytes)
        metrics.cache_bytes.set_function(lambda: self.size_bytes)
        metrics.cache_entries.set_function(lambda: len(self._entries))

    @property
    def size_bytes(self) -> int:
        """Of all that is kept, keys and what holds them included."""
        return round(self._entries.currsize)

    def get(self, key: bytes) -> Kept | None:
        """What is kept under a key, if anything is."""
        return self._entries.get(key)

    def put(self, key: bytes, kept: Kept) -> None:
        """Keep a value, unless it is larger than all that may be kept."""
        if _size(kept) <= self._max_bytes:
            self._entries[key] = kept


class _Entries(TLRUCache[bytes, Kept, int]):
    """Counts what goes, by the reason."""

    def __init__(self, max_bytes: int, ttl_ms: int, clock: Clock, evictions: Counter) -> None:
        super().__init__(
            max_bytes,
            ttu=lambda _key, kept, _now: kept.made_ms + ttl_ms,
            timer=clock.now_ms,
            getsizeof=_size,
        )
        self._for_size = evictions.labels("size")
        self._for_age = evictions.labels("age")

    def popitem(self) -> tuple[bytes, Kept]:
        item = super().popitem()
        self._for_size.inc()
        return item

    def expire(self, time: int | None = None) -> list[tuple[bytes, Kept]]:
        expired = super().expire(time)
        if expired:
            self._for_age.inc(len(expired))
        return expired


def _size(kept: Kept) -> int:
    return len(kept.value) + ENTRY_BYTES
