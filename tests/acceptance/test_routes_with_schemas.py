"""Routes over Avro and JSON Schema, on a real Kafka and a real schema registry."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from tests.support.apicurio import Apicurio
from tests.support.avro_events import ORDER, encoded, framed, order
from tests.support.command import streamproc
from tests.support.isolation import describe_topics
from tests.support.topics import Position, Sent, Stored, create_topic, read_all, send
from tests.support.worker_process import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
ROUTE = """
kind: route
name: {prefix}
description: Orders of an invented shop, with their mood and their entities.
from: {{topics: [{prefix}.orders.v1], format: {format}, start: earliest}}
answers:
  - {{name: mood, task: text-classification, ensemble: sentiment, text: /body, to: /nlp/mood}}
  - name: people
    task: token-classification
    ensemble: entities
    text: /body
    to: /nlp/people
    params: {{aggregation: first}}
    redact: {{labels: [PER], from: /body, to: /masked}}
to: {{topic: {prefix}.enriched.v1}}
meta: /nlp/run
dlq: {prefix}.dead.v1
topic_partitions: 3
"""
TEXTS = ("I love it, says Ada Lovelace.", "A terrible experience.", None)
MORE = {
    **ORDER,
    "fields": [*ORDER["fields"], {"name": "rating", "type": ["null", "int"], "default": None}],
}
JSON_ORDER = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "title": "Order",
    "type": "object",
    "properties": {"id": {"type": "integer"}, "body": {"type": "string"}},
    "required": ["id"],
    "additionalProperties": False,
}


class Shop:
    """The topics and the worker of one route."""

    def __init__(self, kafka: str, registry: Apicurio, folder: Path, prefix: str) -> None:
        self.kafka = kafka
        self.orders, self.enriched = f"{prefix}.orders.v1", f"{prefix}.enriched.v1"
        self.dead = f"{prefix}.dead.v1"
        topics = describe_topics(kafka, folder / "topics", prefix)
        self.settings = {
            **topics.settings,
            "ROUTES_DIR": str(folder / "routes"),
            "SCHEMA_REGISTRY_URL": registry.url,
            "TASKS": "text-classification",
            "DRAIN_TIMEOUT_S": "2",
        }
        self.worker = WorkerProcess(kafka, prefix, folder / "worker.log", self.settings)

    async def events(self, count: int) -> dict[Position, Stored]:
        """So many events that came out, by where they came from."""
        for _ in range(240):
            found = {_source(one): one for one in await read_all(self.kafka, [self.enriched])}
            if len(found) >= count:
                return found
            await asyncio.sleep(0.5)
        raise TimeoutError(self.worker.last_words())


@asynccontextmanager
async def shop(
    kafka: str, registry: Apicurio, folder: Path, prefix: str, format_: str
) -> AsyncIterator[Shop]:
    """A route with its topics; its worker is not started, and ended at the end."""
    (folder / "routes").mkdir()
    (folder / "routes" / "orders.yaml").write_text(ROUTE.format(prefix=prefix, format=format_))
    place = Shop(kafka, registry, folder, prefix)
    applied = await asyncio.to_thread(streamproc, "topics", "apply", settings=place.settings)
    assert applied.returncode == 0, applied.stdout + applied.stderr
    await create_topic(kafka, place.orders, topic_partitions=3)
    try:
        yield place
    finally:
        place.worker.stop()


async def test_avro_events_come_out_with_answers_behind_their_bytes_though_the_registry_is_away(
    kafka: str, schema_registry: Apicurio, tmp_path: Path
) -> None:
    async with shop(kafka, schema_registry, tmp_path, "avro", "avro") as place:
        first = schema_registry.register(f"{place.orders}-value", ORDER)
        bodies = [encoded(ORDER, order(body=TEXTS[n % 3], at=n)) for n in range(60)]
        went_in = dict(zip(
            await send(kafka, [Sent(framed(first, body), place.orders) for body in bodies]),
            bodies, strict=True,
        ))  # fmt: skip
        place.worker.start()
        await place.worker.wait_until_ready(240)
        await place.events(60)

        second = schema_registry.register(f"{place.orders}-value", MORE)
        later = [encoded(MORE, order(body=TEXTS[n % 3], rating=n)) for n in range(60)]
        schema_registry.stop()
        unknown = framed(second + 10_000, b"x")
        positions = await send(
            kafka,
            [Sent(value, place.orders) for value in (*(framed(second, b) for b in later), unknown)],
        )
        went_in |= dict(zip(positions, later, strict=False))
        await until_away(place.worker)
        # Events that wait hold up no end of the worker.
        assert await place.worker.terminate() == 0
        place.worker.start()
        await until_away(place.worker)
        schema_registry.start()
        await place.worker.wait_until_ready(240)
        events = await place.events(120)
        assert await place.worker.terminate() == 0
        letters = await read_all(kafka, [place.dead])

    assert set(events) == set(went_in)
    read = AvroDeserializer(SchemaRegistryClient({"url": schema_registry.url, "timeout": 10}))
    for position, event in events.items():
        value = event.value or b""
        assert value[5:].startswith(went_in[position])
        record: Any = read(value, SerializationContext(place.enriched, MessageField.VALUE))
        assert set(record["nlp"]["run"]["ok"]) == ({"mood", "people"} if record["body"] else set())
        assert ("Ada" in str(record["body"])) is ("<PER>" in str(record["masked"]))
        assert "Ada" not in str(record["masked"])
        assert ("rating" in record) is (went_in[position] in later)
    assert {letter.value for letter in letters} == {unknown}
    assert len(schema_registry.versions(f"{place.enriched}-value")) == 2


async def test_json_events_stay_to_the_byte_and_are_valid_by_the_schema_they_say(
    kafka: str, schema_registry: Apicurio, tmp_path: Path
) -> None:
    async with shop(kafka, schema_registry, tmp_path, "json", "json-schema") as place:
        client = SchemaRegistryClient({"url": schema_registry.url, "timeout": 10})
        write = JSONSerializer(json.dumps(JSON_ORDER), client)
        context = SerializationContext(place.orders, MessageField.VALUE)
        values = [write({"id": n, "body": TEXTS[n % 2]}, context) for n in range(30)]
        assert values[0] is not None
        odd = values[0][:5] + b'{ "id": 12345678901234567890, "body":"bad \\u00e9" }'
        sent = [*values, odd]
        positions = await send(kafka, [Sent(value, place.orders) for value in sent])
        place.worker.start()
        events = await place.events(31)
        assert await place.worker.terminate() == 0

    went_in = dict(zip(positions, sent, strict=True))
    for position, event in events.items():
        before, after = (went_in[position] or b"")[5:], (event.value or b"")[5:]
        assert after.startswith(before.rstrip(b"} "))
        schema = schema_registry.schema(int.from_bytes((event.value or b"")[1:5], "big"))
        read = JSONDeserializer(json.dumps(schema), schema_registry_client=client)
        record: Any = read(event.value, SerializationContext(place.enriched, MessageField.VALUE))
        assert {"id", "body", "nlp"} <= set(record)


async def test_an_output_schema_that_the_registry_does_not_take_is_refused_at_start(
    kafka: str, schema_registry: Apicurio, tmp_path: Path
) -> None:
    async with shop(kafka, schema_registry, tmp_path, "refused", "avro") as place:
        schema_registry.register(f"{place.orders}-value", ORDER)
        other = {"type": "record", "name": "Other", "fields": [{"name": "x", "type": "int"}]}
        schema_registry.register(f"{place.enriched}-value", other)
        schema_registry.require(f"{place.enriched}-value", "BACKWARD")
        done = await asyncio.to_thread(streamproc, "worker", settings=place.settings)

    assert done.returncode == 2
    assert "route refused: refused.orders.v1-value: output schema refused" in done.stderr
    assert "does not take it under refused.enriched.v1-value" in done.stderr
    assert "Traceback" not in done.stderr
    assert schema_registry.versions(f"{place.enriched}-value") == [1]


async def test_a_route_that_needs_a_registry_is_refused_where_none_is_named(
    kafka: str, schema_registry: Apicurio, tmp_path: Path
) -> None:
    async with shop(kafka, schema_registry, tmp_path, "unset", "avro") as place:
        unset = {key: value for key, value in place.settings.items() if "REGISTRY" not in key}
        done = await asyncio.to_thread(streamproc, "worker", settings=unset)

    assert done.returncode == 2
    assert "STREAMPROC_SCHEMA_REGISTRY_URL is not set" in done.stderr


async def until_away(worker: WorkerProcess) -> None:
    """Returns when the worker's health says that no registry answers."""
    async with asyncio.timeout(240):
        while "no schema registry answers" not in str(worker.health()):  # noqa: ASYNC110
            await asyncio.sleep(0.2)


def _source(record: Stored) -> Position:
    topic, partition, offset = (
        record.headers[f"streamproc-source-{name}"] for name in ("topic", "partition", "offset")
    )
    return topic.decode(), int(partition), int(offset)
