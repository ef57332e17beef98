"""What doctor finds where nothing is as it should be: each with what to do."""

from __future__ import annotations

import shutil
from pathlib import Path

from streamproc.cli.examinations import Finding, examine
from streamproc.repository.repository import PREFIXES
from streamproc.settings import Settings, shipped
from tests.support.valkey_server import ValkeyServer

NOWHERE = "127.0.0.1:1"


async def findings(**changes: object) -> dict[str, Finding]:
    settings = Settings.model_validate(
        {"kafka_bootstrap_servers": NOWHERE, "device": "cpu"} | changes
    )
    return {one.name: one for one in await examine(settings)}


async def test_a_broker_that_is_not_there_is_told_with_what_to_do() -> None:
    broker = (await findings())["broker"]
    assert (broker.state, NOWHERE in broker.found) == ("failed", True)
    assert "streamproc broker" in broker.do


async def test_where_a_broker_asks_for_credentials_these_are_named() -> None:
    broker = (
        await findings(
            kafka_security_protocol="SASL_PLAINTEXT",
            kafka_sasl_username="ada",
            kafka_sasl_password="secret-of-ada",  # noqa: S106
        )
    )["broker"]
    assert broker.state == "failed"
    assert "STREAMPROC_KAFKA_SASL_" in broker.do
    assert "secret-of-ada" not in broker.found + broker.do


async def test_no_models_and_a_broken_one_are_told_apart(tmp_path: Path) -> None:
    missing = (await findings(models_dir=tmp_path / "none"))["models"]
    assert (missing.state, "STREAMPROC_MODELS_DIR" in missing.do) == ("failed", True)
    for name in ("sentiment", PREFIXES):
        shutil.copytree(shipped("models") / name, tmp_path / name)
    whole = (await findings(models_dir=tmp_path))["models"]
    assert (whole.state, "1 ensembles" in whole.found) == ("ok", True)
    tokenizer = tmp_path / "sentiment" / "tokenizer.json"
    tokenizer.write_bytes(tokenizer.read_bytes() + b" ")
    broken = (await findings(models_dir=tmp_path))["models"]
    assert broken.state == "failed"
    assert "sentiment" in broken.found
    assert "models verify" in broken.do


async def test_a_device_that_can_not_be_had_is_a_failure_and_not_the_end() -> None:
    found = await findings(device="cuda:63")
    assert found["device"].state == "failed"
    assert {"versions", "extras", "memory", "disk"} <= found.keys()


async def test_requests_in_flight_that_do_not_fit_into_memory_are_warned_of() -> None:
    memory = (await findings(max_in_flight_bytes=1 << 44))["memory"]
    assert (memory.state, "MAX_IN_FLIGHT_BYTES" in memory.do) == ("warning", True)


async def test_a_shared_cache_is_looked_at_where_one_is_set(tmp_path: Path) -> None:
    assert "cache" not in await findings()
    with ValkeyServer(tmp_path) as valkey:
        there = (await findings(cache_url=valkey.url, cache_timeout_ms=10_000))["cache"]
    away = (await findings(cache_url=valkey.url))["cache"]

    assert (there.state, f"127.0.0.1:{valkey.port} answers in " in there.found) == ("ok", True)
    assert (away.state, f"127.0.0.1:{valkey.port}" in away.found) == ("warning", True)
    assert "STREAMPROC_CACHE_URL" in away.do
