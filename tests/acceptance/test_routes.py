"""A route on a real Kafka: every event out, to the byte, also where workers are killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.routed_events import run_routed
from tests.support.chaos_report import Plan
from tests.support.cluster import cluster
from tests.support.topics import read_all

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.mark.parametrize(
    ("events", "kills"),
    [
        pytest.param(400, 2, id="a-few"),
        pytest.param(50_000, 5, id="many", marks=pytest.mark.nightly),
    ],
)
async def test_every_event_comes_out_to_the_byte_though_workers_are_killed(
    tmp_path: Path, events: int, kills: int
) -> None:
    plan = Plan(events, workers=2, kills=kills, terms=0, seed=1)
    async with cluster() as kafka:
        report, verdict = await run_routed(kafka.bootstrap_servers, tmp_path, plan)
        enriched = await read_all(kafka.bootstrap_servers, ["routed-1.reviews.enriched.v1"])
        letters = await read_all(kafka.bootstrap_servers, ["routed-1.reviews.dlq.v1"])

    assert verdict.first_wrong == []
    assert (verdict.lost, verdict.changed, verdict.strangers, verdict.unlike) == (0, 0, 0, 0)
    assert verdict.events == events
    assert sorted(verdict.kinds) == ["dead letter", "enriched", "tombstone", "unmatched"]
    assert report.too_early == []
    assert (report.kills, report.drained_exits) == (kills, [0, 0])
    assert {one.headers["streamproc-route"] for one in enriched} == {b"shop-reviews"}
    assert {one.headers["kafka_dlt-original-topic"] for one in letters} == {b"routed-1.reviews.v1"}
