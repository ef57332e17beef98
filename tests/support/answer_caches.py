"""Caches of answers for tests, and a model that counts what it is asked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from streamproc.caching.kept import Kept
from streamproc.caching.memory_store import MemoryStore
from streamproc.clock import Clock, SystemClock
from streamproc.metrics import Metrics
from streamproc.serving.answer_cache import AnswerCache, Shared
from streamproc.serving.inference.batch import Batch
from streamproc.settings.sizes import MIB


def build_cache(
    task: str = "text-classification",
    *,
    max_bytes: int = MIB,
    ttl_s: float = 3_600.0,
    shared: Shared | None = None,
    numerics: str = "this machine",
    clock: Clock | None = None,
    metrics: Metrics | None = None,
) -> AnswerCache:
    """One in memory, and in `shared` where that is given; max_bytes: 0: not in memory."""
    clock, metrics = clock or SystemClock(), metrics or Metrics()
    return AnswerCache(
        task,
        numerics=numerics,
        memory=MemoryStore(max_bytes, ttl_s, clock, metrics) if max_bytes else None,
        shared=shared,
        clock=clock,
        metrics=metrics,
    )


class SharedStore:
    """Keeps what is shared as a server would, as bytes that are sealed and opened again."""

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}

    async def get(self, key: bytes) -> Kept | None:
        await asyncio.sleep(0)
        sealed = self._values.get(key)
        return None if sealed is None else Kept.opened(key, sealed)

    def put(self, key: bytes, kept: Kept) -> None:
        self._values[key] = kept.sealed(key)


def outcomes(metrics: Metrics, task: str = "text-classification") -> dict[str, int]:
    """How many answers were found where; those that are none are left out."""
    counted = {
        name: metrics.registry.get_sample_value(
            "streamproc_cache_requests_total", {"task": task, "outcome": name}
        )
        for name in ("memory", "shared", "joined", "miss", "passed")
    }
    return {name: round(count) for name, count in counted.items() if count}


class RowCounter:
    """Counts the rows that a scripted member is asked, in its thread; `then` may block or raise."""

    def __init__(self, then: Callable[[Batch], None] | None = None) -> None:
        self.rows = 0
        self._then = then
        self._lock = threading.Lock()

    def __call__(self, batch: Batch) -> None:
        with self._lock:
            self.rows += len(batch.ids)
        if self._then is not None:
            self._then(batch)
