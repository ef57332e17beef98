from __future__ import annotations

import tracemalloc

from streamproc.caching.kept import Kept
from streamproc.caching.memory_store import ENTRY_BYTES, MemoryStore
from streamproc.metrics import Metrics
from streamproc.testing import ManualClock


def stored(clock: ManualClock, max_bytes: int, ttl_s: float = 60.0) -> tuple[MemoryStore, Metrics]:
    metrics = Metrics()
    return MemoryStore(max_bytes, ttl_s, clock, metrics), metrics


def of_size(size: int, clock: ManualClock) -> Kept:
    return Kept(bytes(size - ENTRY_BYTES), clock.now_ms())


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, labels) or 0.0


def test_never_more_is_kept_than_may_be_and_the_least_recently_used_goes_first() -> None:
    clock = ManualClock()
    store, metrics = stored(clock, 4_000)
    for key in (b"a", b"b", b"c", b"d"):
        store.put(key, of_size(1_000, clock))
    assert store.get(b"a") is not None

    store.put(b"e", of_size(1_000, clock))

    assert store.get(b"b") is None
    assert all(store.get(key) for key in (b"a", b"c", b"d", b"e"))
    assert store.size_bytes == 4_000
    assert value(metrics, "streamproc_cache_bytes") == 4_000
    assert value(metrics, "streamproc_cache_entries") == 4
    assert value(metrics, "streamproc_cache_evictions_total", reason="size") == 1


def test_a_value_larger_than_all_that_may_be_kept_pushes_nothing_out() -> None:
    clock = ManualClock()
    store, metrics = stored(clock, 4_000)
    store.put(b"a", of_size(1_000, clock))

    store.put(b"b", of_size(4_001, clock))

    assert store.get(b"b") is None
    assert store.get(b"a") is not None
    assert value(metrics, "streamproc_cache_evictions_total", reason="size") == 0


def test_the_same_key_again_takes_no_more_space() -> None:
    clock = ManualClock()
    store, _ = stored(clock, 4_000)
    for size in (1_000, 2_000, 1_500):
        store.put(b"a", of_size(size, clock))

    assert store.size_bytes == 1_500


async def test_what_is_too_old_is_not_given_and_goes() -> None:
    clock = ManualClock()
    store, metrics = stored(clock, 4_000, ttl_s=60)
    store.put(b"a", of_size(1_000, clock))
    await clock.sleep(30)
    # Made elsewhere a while ago: its age counts, not when it came here.
    store.put(b"b", Kept(b"x", clock.now_ms() - 45_000))
    assert store.get(b"a") is not None
    assert store.get(b"b") is not None

    await clock.sleep(20)
    assert store.get(b"b") is None
    assert store.get(b"a") is not None

    await clock.sleep(20)
    assert store.get(b"a") is None
    store.put(b"c", of_size(1_000, clock))
    assert store.size_bytes == 1_000
    assert value(metrics, "streamproc_cache_evictions_total", reason="age") == 2


def test_the_memory_that_entries_really_take_is_within_the_bound() -> None:
    clock = ManualClock()
    store, _ = stored(clock, 2_000_000)
    tracemalloc.start()
    try:
        for number in range(8_000):
            store.put(number.to_bytes(32, "big"), Kept(bytes(100), clock.now_ms() + number))
        taken, _peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert 1_000_000 <= taken <= 2_000_000
