"""Of the cache that workers share."""

from __future__ import annotations

import time

from streamproc.cli.examinations.finding import Finding
from streamproc.errors import OperatorError
from streamproc.settings import Settings


async def of_cache(settings: Settings) -> list[Finding]:
    """Nothing where no shared cache is set; a worker does without one that is away."""
    from streamproc.caching.address import Address
    from streamproc.clock import SystemClock
    from streamproc.metrics import Metrics

    try:
        address = Address.of(settings)
        if address is None:
            return []
        from streamproc.caching.valkey_store import ValkeyStore
    except OperatorError as error:
        return [Finding("cache", "failed", str(error), "correct the setting")]
    except ImportError as missing:
        do = 'pip install "streamproc[cache]"'
        return [Finding("cache", "failed", f"{missing.name} is not installed", do)]
    store = ValkeyStore.of(settings, address, SystemClock(), Metrics())
    failure = await store.failure()
    began_s = time.perf_counter()
    if failure is None:
        # Once more, now that it is connected.
        failure = await store.failure()
    took_ms = 1000 * (time.perf_counter() - began_s)
    await store.close()
    if failure is None:
        said = f"{address} answers in {took_ms:.1f} ms"
        if took_ms <= settings.cache_timeout_ms:
            return [Finding("cache", "ok", said)]
        do = "raise STREAMPROC_CACHE_TIMEOUT_MS, or bring it nearer: requests do not wait for it"
        return [Finding("cache", "warning", said, do)]
    do = "start it, or check STREAMPROC_CACHE_URL, _USERNAME and _PASSWORD"
    return [Finding("cache", "warning", f"{address}: {type(failure).__name__}: {failure}", do)]
