"""A worker whose topics folder has routes and no topics of any task."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from uuid import uuid4

import pytest
import yaml
from aiokafka import AIOKafkaConsumer

from streamproc.enrichment.catalogue import load_routes, route_topics
from streamproc.errors import TopicsError
from streamproc.kafka.topic_admin import TopicAdmin
from streamproc.settings import Settings
from streamproc.worker.run import run_worker
from tests.support.in_process import run
from tests.support.small_ensembles import write_small_ensembles
from tests.support.topics import Sent, create_topic, send

pytestmark = pytest.mark.kafka
TASK = "text-classification"


def routes_alone(kafka: str, folder: Path) -> Settings:
    """Settings of a worker for one route, and nothing beside it."""
    name = f"alone-{uuid4().hex[:8]}"
    models, topics = folder / "models", folder / "topics"
    models.mkdir()
    topics.mkdir()
    write_small_ensembles(models, [TASK])
    answer = {"name": "mood", "task": TASK, "ensemble": "sentiment", "text": "/t", "to": "/mood"}
    route = {
        "kind": "route", "name": name, "description": "what is tested here", "meta": "/run",
        "from": {"topics": [f"{name}.in"], "start": "earliest"},
        "to": {"topic": f"{name}.out"}, "dlq": f"{name}.dlq", "answers": [answer],
        "topic_partitions": 1,
    }  # fmt: skip
    (topics / "route.yaml").write_text(yaml.safe_dump(route), "utf-8")
    return Settings(
        kafka_bootstrap_servers=kafka,
        group_id=name,
        models_dir=models,
        topics_dir=topics,
        web_port=0,
        device="cpu",
    )


async def test_a_worker_serves_routes_without_topics_of_tasks(kafka: str, tmp_path: Path) -> None:
    settings = routes_alone(kafka, tmp_path)
    name = settings.group_id
    await create_topic(kafka, f"{name}.in", 1)
    async with TopicAdmin(settings) as admin:
        await admin.create_missing(route_topics(load_routes(settings)))
    await send(kafka, [Sent(b'{"t": "good film"}', f"{name}.in")])
    stop = asyncio.Event()
    working = asyncio.create_task(run_worker(settings, stop))
    consumer = AIOKafkaConsumer(
        f"{name}.out", bootstrap_servers=kafka, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        async with asyncio.timeout(120):
            enriched = json.loads((await consumer.getone()).value)
    finally:
        await consumer.stop()
        stop.set()
        await working

    assert enriched["t"] == "good film"
    assert enriched["mood"]["label"] in enriched["mood"]["scores"]


def test_topics_of_routes_are_made_and_listed(kafka: str, tmp_path: Path) -> None:
    settings = routes_alone(kafka, tmp_path)
    name = settings.group_id
    flags = ("--topics-dir", str(settings.topics_dir), "--kafka-bootstrap-servers", kafka)

    applied, listed = run("topics", "apply", *flags), run("topics", "list", "--json", *flags)
    shown = run("topics", "list", *flags)

    assert applied.code == listed.code == shown.code == 0, applied.said + listed.said
    found = {row["name"]: (row["kind"], row["exists"]) for row in json.loads(listed.out)}
    assert found == {
        f"{name}.in": ("events", False),
        f"{name}.out": ("enriched", True),
        f"{name}.dlq": ("dlq", True),
    }
    assert f"Read by {name}." in shown.out


async def test_without_routes_topics_are_needed(tmp_path: Path) -> None:
    with pytest.raises(TopicsError, match="no topics are described"):
        await run_worker(Settings(topics_dir=tmp_path), asyncio.Event())
