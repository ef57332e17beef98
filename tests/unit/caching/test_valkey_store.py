from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import structlog

from streamproc.caching.address import Address
from streamproc.caching.kept import Kept
from streamproc.caching.valkey_store import (
    FIRST_PROBE_S,
    MAX_LATE,
    MAX_VALUE_BYTES,
    ValkeyStore,
)
from streamproc.clock import SystemClock
from streamproc.errors import SettingsError
from streamproc.metrics import Metrics
from streamproc.settings import Settings
from tests.support.certificates import certificate
from tests.support.valkey_server import ValkeyServer

KEY = b"k" * 32


@asynccontextmanager
async def store_of(
    settings: Settings, *, ttl_s: float = 60.0, timeout_s: float = 1.0
) -> AsyncIterator[tuple[ValkeyStore, Metrics]]:
    address, metrics = Address.of(settings), Metrics()
    assert address is not None
    store = ValkeyStore(
        address, ttl_s=ttl_s, timeout_s=timeout_s, clock=SystemClock(), metrics=metrics
    )
    await store.start()
    try:
        yield store, metrics
    finally:
        await store.close()


async def until(is_so: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not is_so():  # noqa: ASYNC110 - what it waits for is a server
            await asyncio.sleep(0.01)


def is_up(metrics: Metrics, server: ValkeyServer) -> float | None:
    """What the metric says of it."""
    at = {"at": f"127.0.0.1:{server.port}"}
    return metrics.registry.get_sample_value("streamproc_cache_shared_up", at)


async def kept_there(store: ValkeyStore, key: bytes) -> Kept:
    async with asyncio.timeout(20):
        while (found := await store.get(key)) is None:  # noqa: ASYNC110 - the server's state
            await asyncio.sleep(0.01)
    return found


async def test_what_one_worker_keeps_another_has(valkey: ValkeyServer) -> None:
    kept = Kept(b"value", 123)
    async with store_of(valkey.settings()) as (one, metrics):
        assert await one.get(KEY) is None
        one.put(KEY, kept)
        async with store_of(valkey.settings()) as (other, _):
            assert await kept_there(other, KEY) == kept
        assert one.troubles() == []
        assert is_up(metrics, valkey) == 1


async def test_what_is_wanted_together_is_asked_for_together(valkey: ValkeyServer) -> None:
    keys = [number.to_bytes(32, "big") for number in range(500)]
    async with store_of(valkey.settings()) as (store, _):
        for key in keys[::2]:
            store.put(key, Kept(key, 1))
        await kept_there(store, keys[-2])

        found = await asyncio.gather(*map(store.get, keys))

    assert found[::2] == [Kept(key, 1) for key in keys[::2]]
    assert set(found[1::2]) == {None}


async def test_ending_hands_over_what_was_to_be_kept(valkey: ValkeyServer) -> None:
    async with store_of(valkey.settings()) as (store, _):
        store.put(KEY, Kept(b"value", 1))
    async with store_of(valkey.settings()) as (store, _):
        assert await store.get(KEY) == Kept(b"value", 1)


async def test_nothing_goes_on_behind_the_end_where_the_last_command_failed(
    valkey: ValkeyServer,
) -> None:
    async with store_of(valkey.settings()) as (store, metrics):
        valkey.kill()
        store.put(KEY, Kept(b"last", 1))

    assert is_up(metrics, valkey) == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_nothing_is_kept_for_longer_than_it_may_be(valkey: ValkeyServer) -> None:
    async with store_of(valkey.settings(), ttl_s=0.3) as (store, _):
        store.put(KEY, Kept(b"value", 1))
        await kept_there(store, KEY)
        async with asyncio.timeout(20):
            while await store.get(KEY) is not None:  # noqa: ASYNC110 - the server's state
                await asyncio.sleep(0.05)


async def test_a_large_value_is_not_shared(valkey: ValkeyServer) -> None:
    async with store_of(valkey.settings()) as (store, _):
        store.put(KEY, Kept(bytes(MAX_VALUE_BYTES), 1))
        store.put(b"o" * 32, Kept(b"small", 1))
        await kept_there(store, b"o" * 32)
        assert await store.get(KEY) is None


async def test_bytes_that_somebody_else_put_there_are_no_value(valkey: ValkeyServer) -> None:
    import valkey.asyncio as client

    async with (
        client.Valkey(port=valkey.port) as other,
        store_of(valkey.settings()) as (store, _),
    ):
        await other.set(b"streamproc:answer:" + KEY, b"something else")
        await other.execute_command("LPUSH", b"streamproc:answer:" + b"l" * 32, b"a list")  # type: ignore[no-untyped-call]

        assert await store.get(KEY) is None
        assert await store.get(b"l" * 32) is None
        assert store.troubles() == []


async def test_a_server_that_is_killed_is_told_once_and_noticed_when_it_is_back(
    valkey: ValkeyServer,
) -> None:
    with structlog.testing.capture_logs() as logs:
        async with store_of(valkey.settings()) as (store, metrics):
            store.put(KEY, Kept(b"value", 1))
            await kept_there(store, KEY)

            valkey.kill()
            for _ in range(50):
                assert await store.get(KEY) is None
                store.put(KEY, Kept(b"value", 1))
            (trouble,) = store.troubles()
            assert f"127.0.0.1:{valkey.port} has been unavailable for" in trouble
            assert is_up(metrics, valkey) == 0

            valkey.start()
            await until(lambda: not store.troubles())
            store.put(KEY, Kept(b"value", 2))
            assert await kept_there(store, KEY) == Kept(b"value", 2)
    assert [entry["event"] for entry in logs] == [
        "shared cache unavailable, what it keeps is worked out anew",
        "shared cache is back",
    ]


async def test_a_server_that_hangs_is_soon_asked_nothing_more(valkey: ValkeyServer) -> None:
    async with store_of(valkey.settings(), timeout_s=0.05) as (store, _):
        assert await store.get(KEY) is None
        valkey.pause()
        try:
            while not store.troubles():
                assert await store.get(KEY) is None
                await asyncio.sleep(0)
            found = await asyncio.gather(*(store.get(KEY) for _ in range(2_000)))
            assert store._wanted == store._unwritten == deque()
        finally:
            valkey.resume()

        assert set(found) == {None}
        await until(lambda: not store.troubles())


async def test_values_that_are_late_are_not_waited_for_and_then_not_asked_for(
    valkey: ValkeyServer,
) -> None:
    async with store_of(valkey.settings(), timeout_s=60.0) as (store, metrics):
        store.put(KEY, Kept(b"value", 1))
        await kept_there(store, KEY)
        store._timeout_s = 0.0
        for _ in range(MAX_LATE):
            assert await store.get(KEY) is None
        store._timeout_s = 60.0

        assert await store.get(KEY) is None
        assert store.troubles() == []
        assert await kept_there(store, KEY) == Kept(b"value", 1)
    errors = metrics.registry.get_sample_value
    assert errors("streamproc_cache_shared_errors_total", {"reason": "late"}) == MAX_LATE


async def test_nothing_there_at_the_start_is_no_error(valkey: ValkeyServer) -> None:
    valkey.kill()
    async with store_of(valkey.settings()) as (store, metrics):
        assert store.troubles()
        assert await store.get(KEY) is None
        assert is_up(metrics, valkey) == 0


async def test_a_password_is_sent_and_a_wrong_one_costs_only_hits(tmp_path: Path) -> None:
    right = {"cache_password": "secret"}
    with ValkeyServer(tmp_path, "--requirepass", "secret") as server:
        async with store_of(server.settings(**right)) as (store, _):
            store.put(KEY, Kept(b"value", 1))
            assert await kept_there(store, KEY) == Kept(b"value", 1)
        for wrong in ({}, {"cache_password": "wrong"}):
            with structlog.testing.capture_logs() as logs:
                async with store_of(server.settings(**wrong)) as (store, _):
                    assert store.troubles()
                    assert await store.get(KEY) is None
            assert [entry["event"].split(",")[0] for entry in logs] == ["shared cache unavailable"]
            assert "secret" not in str(logs)


async def test_a_server_that_is_full_still_gives_what_it_has(tmp_path: Path) -> None:
    with ValkeyServer(tmp_path, "--maxmemory-policy", "noeviction") as server:
        import valkey.asyncio as client

        async with store_of(server.settings()) as (store, metrics):
            store.put(KEY, Kept(b"value", 1))
            await kept_there(store, KEY)
            async with client.Valkey(port=server.port) as other:
                await other.config_set("maxmemory", "1")

            with structlog.testing.capture_logs() as logs:
                for number in range(3):
                    store.put(bytes([number]) * 32, Kept(b"more", 1))
                    await until(lambda: store._writing is None or store._writing.done())

            assert await store.get(KEY) == Kept(b"value", 1)
            assert store.troubles() == []
            assert [entry["event"] for entry in logs] == ["shared cache keeps nothing more"]
            errors = metrics.registry.get_sample_value(
                "streamproc_cache_shared_errors_total", {"reason": "refused"}
            )
            assert errors == 3


@pytest.mark.parametrize(
    ("url", "shown", "is_tls", "database"),
    [
        ("valkey://cache", "cache:6379", False, 0),
        ("rediss://cache.example.com:7000/3", "cache.example.com:7000", True, 3),
        ("redis://[::1]:7000/", "[::1]:7000", False, 0),
    ],
)
def test_an_address_is_that_of_the_settings(
    url: str, shown: str, is_tls: bool, database: int
) -> None:
    address = Address.of(Settings(cache_url=url))

    assert address is not None
    assert (str(address), address.tls, address.database) == (shown, is_tls, database)
    assert address.for_client().get("ssl", False) is is_tls


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_file_that_has_no_certificate_is_told(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(
        SettingsError, match=r"STREAMPROC_CACHE_SSL_CAFILE=\S+ca\.pem can't be used"
    ):
        Address.of(Settings(cache_url="valkeys://cache", cache_ssl_cafile=file))


def test_a_file_of_certificates_is_not_looked_at_without_tls(tmp_path: Path) -> None:
    assert Address.of(Settings(cache_url="valkey://cache", cache_ssl_cafile=tmp_path / "none"))


@asynccontextmanager
async def handed_on(
    port: int, *, context: ssl.SSLContext | None = None, passes: asyncio.Event | None = None
) -> AsyncIterator[int]:
    """A port that hands on to another, and takes TLS off where it has a context.

    passes: while it is not set, everything is held back, as if the machine at the other end hung
    """

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                if passes is not None:
                    await passes.wait()
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pipe(reader, inner_writer), pipe(inner_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def in_tls(port: int, certificate: Path, key: Path) -> AsyncIterator[int]:
    """A port that takes TLS off and hands on to another; what shows up in front of a server."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    async with handed_on(port, context=context) as taken_off:
        yield taken_off


async def test_with_tls_the_certificate_is_checked(valkey: ValkeyServer, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    async with in_tls(valkey.port, cert, key) as port:
        url = f"valkeys://127.0.0.1:{port}"
        async with store_of(Settings(cache_url=url, cache_ssl_cafile=cert)) as (store, _):
            store.put(KEY, Kept(b"value", 1))
            assert await kept_there(store, KEY) == Kept(b"value", 1)
        with structlog.testing.capture_logs() as logs:
            async with store_of(Settings(cache_url=url)) as (store, _):
                assert store.troubles()
                assert await store.get(KEY) is None
    assert "certificate verify failed" in logs[0]["reason"].lower()


@pytest.mark.parametrize("ends_meanwhile", [False, True])
async def test_a_server_that_hangs_is_used_again_over_tls_and_ends_nothing(
    valkey: ValkeyServer, tmp_path: Path, ends_meanwhile: bool
) -> None:
    cert, key = certificate(tmp_path)
    passes = asyncio.Event()
    passes.set()
    async with (
        in_tls(valkey.port, cert, key) as with_tls,
        handed_on(with_tls, passes=passes) as port,
    ):
        settings = Settings(cache_url=f"valkeys://127.0.0.1:{port}", cache_ssl_cafile=cert)
        async with store_of(settings, timeout_s=0.05) as (store, _):
            # One connection is closed with the command that fails, and another stays open.
            assert not any(await asyncio.gather(store.failure(), store.failure()))
            passes.clear()
            while not store.troubles():
                assert await store.get(KEY) is None
                await asyncio.sleep(0)
            if not ends_meanwhile:
                # Two probes at least, the first of which could not end a connection in form.
                await until(lambda: store._probe_wait_s > 2 * FIRST_PROBE_S)
                passes.set()
                await until(lambda: not store.troubles())
                store.put(KEY, Kept(b"value", 1))
                assert await kept_there(store, KEY) == Kept(b"value", 1)
        passes.set()
