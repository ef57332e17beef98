"""A route on a real Kafka: every event out, to the byte, also where workers are killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamproc.settings import read_settings
from tests.chaos.faults.of_workers import Killed
from tests.chaos.loads.shop import ENRICHED, EVENTS, LETTERS, Shop
from tests.chaos.place import place
from tests.chaos.run import Run
from tests.chaos.table import is_good
from tests.support.served import Served
from tests.support.topics import read_all

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.mark.parametrize(
    ("events", "a_second", "kills"),
    [
        pytest.param(400, 20, 2, id="a-few"),
        pytest.param(50_000, 100, 5, id="many", marks=pytest.mark.nightly),
    ],
)
async def test_every_event_comes_out_to_the_byte_though_workers_are_killed(
    tmp_path: Path, events: int, a_second: float, kills: int
) -> None:
    load = Shop(Served((), read_settings().models_dir), seed=1)
    async with place(tmp_path / "run", 1, 2, load, {}, print) as scene:
        running = Run(scene, requests=events, a_second=a_second, is_hasty=True)
        failures = await running.all([Killed()] * kills)
        verdict = await running.verified(tmp_path / "asked.jsonl")
        enriched = await read_all(scene.kafka.bootstrap_servers, [ENRICHED])
        letters = await read_all(scene.kafka.bootstrap_servers, [LETTERS])

    assert failures == []
    assert verdict.first_wrong == []
    assert is_good(verdict, running.windows, is_once=False)
    assert verdict.answered == verdict.asked >= events
    assert sorted(verdict.kinds[EVENTS]) == ["dead letter", "enriched", "tombstone", "unmatched"]
    assert {one.headers["streamproc-route"] for one in enriched} == {b"shop-reviews"}
    assert {one.headers["kafka_dlt-original-topic"] for one in letters} == {EVENTS.encode()}
