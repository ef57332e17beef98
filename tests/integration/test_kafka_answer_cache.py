"""Workers on a real Kafka that share their answers in a real Valkey, which is killed meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import orjson
import pytest
from aiokafka import AIOKafkaConsumer
from prometheus_client.parser import text_string_to_metric_families
from valkey.asyncio import Valkey

from streamproc import LocalClient
from streamproc.kafka.embedded.ports import free_port
from streamproc.kafka.topic_admin import TopicAdmin
from streamproc.kafka.topics import load_topics
from streamproc.settings import Settings
from streamproc.settings.sizes import MIB
from streamproc.worker.run import run_worker
from tests.support.small_ensembles import write_small_ensembles
from tests.support.topics import Sent, producing, send_all
from tests.support.traced_worker import TASK, topics_folder
from tests.support.valkey_server import ValkeyServer

pytestmark = pytest.mark.kafka
REQUESTS = 400
WORDS = ("the", "good", "bad", "film", "x")


def without_own(response: Mapping[str, Any]) -> bytes:
    return orjson.dumps({**response, "id": None, "timing": None})


async def degraded(*ports: int) -> Mapping[str, Any]:
    """What the first of the workers says of its readiness for which something is amiss.

    One that has been assigned its topic-partitions when all was answered has not noticed.
    """
    async with aiohttp.ClientSession() as client:
        while True:
            for port in ports:
                async with client.get(f"http://127.0.0.1:{port}/v2/health/ready") as answer:
                    health: Mapping[str, Any] = await answer.json()
                if health["ready"] and "degraded" in health:
                    return health
            await asyncio.sleep(0.1)


async def test_a_shared_cache_killed_in_the_middle_of_a_stream_loses_nothing_and_changes_nothing(
    kafka: str, tmp_path: Path
) -> None:
    models, topics = tmp_path / "models", tmp_path / "topics"
    models.mkdir()
    topics.mkdir()
    write_small_ensembles(models, [TASK])
    name = f"cached-{uuid4().hex[:8]}"
    topics_folder(topics, name)
    draw = random.Random(5)
    texts = [" ".join(draw.choices(WORDS, k=draw.randrange(1, 4))) for _ in range(REQUESTS)]
    local = Settings(models_dir=models, device="cpu")
    async with LocalClient.of_task(local, TASK) as client:
        asked = dict.fromkeys(texts)
        expected = {text: without_own(await client.ask({"text": text})) for text in asked}

    with ValkeyServer(tmp_path) as valkey:
        settings = valkey.settings(
            kafka_bootstrap_servers=kafka,
            group_id=name,
            models_dir=models,
            topics_dir=topics,
            device="cpu",
            state_interval_s=0,
            cache_bytes=MIB,
        )
        async with TopicAdmin(settings) as admin:
            await admin.create_missing(load_topics(topics).topics.values())
        (topic, *_) = load_topics(topics).requests(TASK)
        stop = asyncio.Event()
        ports = free_port(), free_port()
        working = [
            asyncio.create_task(run_worker(settings.model_copy(update={"web_port": port}), stop))
            for port in ports
        ]
        consumer = AIOKafkaConsumer(
            topic.responses, bootstrap_servers=kafka, auto_offset_reset="earliest"
        )
        await consumer.start()
        answered: dict[int, bytes] = {}
        try:
            async with asyncio.timeout(120), producing(kafka) as producer:

                async def ask(numbers: range) -> None:
                    requests = [
                        orjson.dumps({"id": str(number), "text": texts[number]})
                        for number in numbers
                    ]
                    await send_all(producer, [Sent(value, topic.name) for value in requests])

                async def until_answered(count: int) -> None:
                    while len(answered) < count:
                        response = orjson.loads((await consumer.getone()).value)
                        answered[int(response["id"])] = without_own(response)

                await ask(range(REQUESTS // 2))
                await until_answered(REQUESTS // 4)
                async with Valkey(port=valkey.port) as looking:
                    assert await looking.dbsize() > 0
                valkey.kill()
                await ask(range(REQUESTS // 2, REQUESTS))
                await until_answered(REQUESTS)
                health = await degraded(*ports)
        finally:
            await consumer.stop()
            stop.set()
            await asyncio.gather(*working)

    assert health["ready"]
    assert f"127.0.0.1:{valkey.port} has been unavailable" in health["degraded"][0]
    assert set(answered) == set(range(REQUESTS))
    assert all(answered[number] == expected[text] for number, text in enumerate(texts))


async def counted(port: int) -> dict[str, int]:
    """Where a worker's answers came from."""
    async with (
        aiohttp.ClientSession() as client,
        client.get(f"http://127.0.0.1:{port}/metrics") as answer,
    ):
        metrics = text_string_to_metric_families(await answer.text())
    return {
        sample.labels["outcome"]: round(sample.value)
        for family in metrics
        for sample in family.samples
        if sample.name == "streamproc_cache_requests_total" and sample.value
    }


async def test_a_topic_that_says_so_has_its_answers_worked_out_each_time(
    kafka: str, tmp_path: Path
) -> None:
    models, topics = tmp_path / "models", tmp_path / "topics"
    models.mkdir()
    topics.mkdir()
    write_small_ensembles(models, [TASK])
    name, port = f"cached-{uuid4().hex[:8]}", free_port()
    topics_folder(topics, name)
    (bulk,) = topics.glob("*.bulk.*.yaml")
    bulk.write_text(bulk.read_text("utf-8") + "cache: false\n", "utf-8")
    settings = Settings(
        kafka_bootstrap_servers=kafka,
        group_id=name,
        models_dir=models,
        topics_dir=topics,
        web_port=port,
        device="cpu",
        state_interval_s=0,
        cache_bytes=MIB,
    )
    async with TopicAdmin(settings) as admin:
        await admin.create_missing(load_topics(topics).topics.values())
    asked = load_topics(topics).requests(TASK)
    stop = asyncio.Event()
    working = asyncio.create_task(run_worker(settings, stop))
    consumer = AIOKafkaConsumer(
        asked[0].responses, bootstrap_servers=kafka, auto_offset_reset="earliest"
    )
    await consumer.start()
    answered: set[bytes] = set()
    try:
        async with asyncio.timeout(120), producing(kafka) as producer:
            value = orjson.dumps({"id": "1", "text": "the good film"})
            await send_all(producer, [Sent(value, topic.name) for topic in asked] * 5)
            for _ in range(10):
                answered.add(without_own(orjson.loads((await consumer.getone()).value)))
        found = await counted(port)
    finally:
        await consumer.stop()
        stop.set()
        await working

    assert len(answered) == 1
    assert found["miss"] == 1
    assert sum(found.values()) == 5
