"""Topics, producer, client and dead letters against a real Kafka."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import orjson
import pytest
import yaml
from typer.testing import CliRunner

from streamproc.cli.dlq import app as dlq_app
from streamproc.cli.topics import app as topics_app
from streamproc.errors import OperatorError, TooLarge, TopicsError
from streamproc.kafka.client import RequestClient
from streamproc.kafka.dead_letters import Selection, dead_letter_at, dead_letters, replay
from streamproc.kafka.producer import Producer
from streamproc.kafka.topic_admin import TopicAdmin
from streamproc.kafka.topic_reader import read_topic
from streamproc.kafka.topics import TopicCatalogue, load_topics
from streamproc.messages.outgoing import dead_letter
from streamproc.messages.record import ProducerRecord, Record
from streamproc.messages.request import Request, read_request
from streamproc.messages.response import Problem
from streamproc.settings import Settings
from tests.support.kafka_place import CLOCK, Place, working

pytestmark = pytest.mark.kafka


@pytest.fixture
def described(kafka: str, tmp_path: Path) -> Settings:
    """Settings whose topics are described in a folder of the test's own, under new names."""
    shipped, prefix = Settings().topics_dir, uuid4().hex[:8]
    for file in shipped.glob("*.text-classification.*.yaml"):
        text = file.read_text().replace("nlp.", f"{prefix}.").replace(": 12", ": 2")
        (tmp_path / file.name).write_text(text)
    for folder in ("schemas", "examples"):
        (tmp_path / folder).symlink_to(shipped / folder)
    return Settings(kafka_bootstrap_servers=kafka, topics_dir=tmp_path)


@pytest.fixture
async def catalogue(described: Settings) -> TopicCatalogue:
    made = load_topics(described.topics_dir)
    async with TopicAdmin(described) as admin:
        await admin.create_missing(made.topics.values())
    return made


async def test_missing_topics_are_made_once_and_are_as_described(described: Settings) -> None:
    topics = list(load_topics(described.topics_dir).topics.values())
    async with TopicAdmin(described) as admin:
        assert {d.what for d in await admin.drift(topics)} == {"topic"}
        assert len(await admin.create_missing(topics)) == 5
        assert await admin.create_missing(topics) == []
        assert await admin.drift(topics) == []


def test_topics_check_exits_with_1_until_applied_and_tells_drift(
    described: Settings,
) -> None:
    flags = [
        "--kafka-bootstrap-servers",
        described.kafka_bootstrap_servers,
        "--topics-dir",
        str(described.topics_dir),
        "--json",
    ]
    run = CliRunner().invoke
    assert run(topics_app, ["check", *flags]).exit_code == 1
    applied = run(topics_app, ["apply", *flags])
    assert (applied.exit_code, len(orjson.loads(applied.output)["created"])) == (0, 5)
    assert run(topics_app, ["check", *flags]).exit_code == 0
    listed = orjson.loads(run(topics_app, ["list", *flags]).output)
    assert [topic["exists"] for topic in listed] == [True] * 5
    file = next(described.topics_dir.glob("*dlq*.yaml"))
    changed = {**yaml.safe_load(file.read_text()), "retention_ms": 1000, "topic_partitions": 3}
    file.write_text(yaml.safe_dump(changed))
    drifted = run(topics_app, ["check", *flags])
    found = {d["what"]: (d["described"], d["found"]) for d in orjson.loads(drifted.output)["drift"]}
    assert drifted.exit_code == 1
    assert found == {"topic-partitions": ("3", "2"), "retention.ms": ("1000", "2419200000")}


async def test_without_a_broker_the_operator_is_told(described: Settings) -> None:
    settings = described.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})
    with pytest.raises(OperatorError, match="no Kafka at"):
        async with TopicAdmin(settings):
            raise AssertionError


async def test_a_record_too_large_for_its_topic_is_refused_and_others_still_go(
    described: Settings, catalogue: TopicCatalogue
) -> None:
    topic = catalogue.requests()[0]
    for limits in (catalogue.limits(described), {}):
        producer = Producer(described, CLOCK, limits=limits)
        await producer.start()
        too_large = ProducerRecord(topic.name, b"k", b"x" * catalogue.limits(described)[topic.name])
        small = [ProducerRecord(topic.name, b"k", b"s") for _ in range(20)]
        outcomes = await asyncio.gather(
            *(producer.send(record) for record in (*small[:10], too_large, *small[10:])),
            return_exceptions=True,
        )
        assert [type(outcome) for outcome in outcomes if outcome] == [TooLarge]
        await producer.send(small[0])
        await producer.stop()
    stored = [record.value async for record in read_topic(described, topic.name)]
    assert stored == [b"s"] * 42


async def test_a_record_as_large_as_its_topic_takes_is_stored(
    described: Settings, catalogue: TopicCatalogue
) -> None:
    topic, limits = catalogue.requests()[0].name, catalogue.limits(described)
    value = b"x" * (limits[topic] - 256)
    producer = Producer(described, CLOCK, limits=limits)
    await producer.start()
    await producer.send(ProducerRecord(topic, b"k", value))
    await producer.stop()
    assert [record.value async for record in read_topic(described, topic)] == [value]


async def test_reading_ends_at_the_end_of_an_empty_topic(
    described: Settings, catalogue: TopicCatalogue
) -> None:
    assert [r async for r in read_topic(described, catalogue.requests()[0].dlq)] == []
    with pytest.raises(TopicsError, match="topics apply"):
        await anext(read_topic(described, "no.such.topic"))


async def letters_of(described: Settings, catalogue: TopicCatalogue) -> list[Record]:
    """Three dead letters: with an id, without one, and a tombstone without a key."""
    topic = catalogue.requests()[0]
    originals = [
        Record(topic.name, 0, 5, 0, b"key", b'{"id": "mine", "text": 1}', (("h", b"v"),)),
        Record(topic.name, 1, 6, 0, None, b"\xff\x00"),
        Record(topic.name, 1, 7, 0, None, None),
    ]
    kinds = (("invalid", "mine"), ("unreadable", None), ("unreadable", None))
    producer = Producer(described, CLOCK, limits=catalogue.limits(described))
    await producer.start()
    for record, (kind, request_id) in zip(originals, kinds, strict=True):
        fault = Problem(kind, "title", "detail")  # type: ignore[arg-type] # two of the five
        await producer.send(dead_letter(record, fault, request_id, topic.dlq))
    await producer.stop()
    return originals


async def test_dead_letters_are_listed_shown_and_replayed_under_their_ids(
    described: Settings, catalogue: TopicCatalogue
) -> None:
    originals = await letters_of(described, catalogue)
    topic = catalogue.requests()[0]
    listed = [letter async for letter in dead_letters(described, topic.dlq)]
    assert {letter.request_id for letter in listed} == {
        "mine",
        f"{topic.name}:1:6",
        f"{topic.name}:1:7",
    }
    shown = await dead_letter_at(described, topic.dlq, listed[0].offset_name)
    assert shown == listed[0]
    with pytest.raises(OperatorError, match="no dead letter"):
        await dead_letter_at(described, topic.dlq, "0:4000")

    producer = Producer(described, CLOCK, limits=catalogue.limits(described))
    await producer.start()
    seen: list[str] = []
    for selection in (Selection(ids=frozenset({"mine"})), Selection()):
        again = replay(
            described,
            topic.dlq,
            selection,
            original=lambda letter: letter.original({topic.name}),
            producer=producer,
        )
        seen += [letter.request_id async for letter in again]
    await producer.stop()
    assert len(seen) == 4
    back = [record async for record in read_topic(described, topic.name)]
    assert sorted(r.value or b"" for r in back) == sorted(
        [r.value or b"" for r in originals] + [originals[0].value or b""]
    )
    mine = next(r for r in back if r.key == b"key")
    assert mine.headers == (("h", b"v"), ("streamproc-original-id", b"mine"))
    request = read_request(replace(mine, value=b'{"text": "x"}'), 1 << 20)
    assert isinstance(request, Request)
    assert request.id == "mine"


def test_the_dlq_commands_list_show_and_replay(
    described: Settings, catalogue: TopicCatalogue
) -> None:
    asyncio.run(letters_of(described, catalogue))
    flags = [
        "--kafka-bootstrap-servers",
        described.kafka_bootstrap_servers,
        "--topics-dir",
        str(described.topics_dir),
        "--json",
    ]
    run = CliRunner().invoke
    listed = orjson.loads(run(dlq_app, ["list", *flags, "--type", "unreadable"]).stdout)
    assert len(listed) == 2
    shown = orjson.loads(run(dlq_app, ["show", listed[0]["offset"], *flags]).stdout)
    assert shown["id"] == listed[0]["id"]
    dry = orjson.loads(run(dlq_app, ["replay", "--all", "--dry-run", *flags]).stdout)
    topic = catalogue.requests()[0].name
    assert dry == {"dry_run": True, "replayed": {topic: 3}}
    done = orjson.loads(run(dlq_app, ["replay", "--id", "mine", *flags]).stdout)
    assert done == {"dry_run": False, "replayed": {topic: 1}}
    assert isinstance(run(dlq_app, ["replay", *flags]).exception, OperatorError)


async def test_the_client_matches_answers_to_its_own_requests(kafka: str) -> None:
    place = Place(kafka, topic_partitions=4)
    await place.make()

    async def answer(producer: Producer, record: Record) -> None:
        body = orjson.loads(record.value or b"")
        endless = orjson.Fragment(b"1e400")  # metadata may be what no parser takes
        response = {"id": body["id"], "status": "ok", "result": body["n"], "metadata": endless}
        for _ in range(2):  # an answer may come twice
            await producer.send(ProducerRecord(place.responses, record.key, orjson.dumps(response)))

    def client() -> RequestClient:
        return RequestClient(
            place.settings,
            requests_topic=place.requests,
            responses_topic=place.responses,
        )

    async with (
        working(place, answer),
        client() as one,
        client() as other,
    ):
        answers = await asyncio.gather(
            *(asker.ask({"n": n, "id": "x"}) for n in range(50) for asker in (one, other))
        )
    results: list[object] = [a["result"] for a in answers]
    assert results == [n for n in range(50) for _ in range(2)]
    assert len({a["id"] for a in answers}) == 100


async def test_the_client_says_when_no_worker_answers(kafka: str) -> None:
    place = Place(kafka, topic_partitions=1)
    await place.make()
    async with RequestClient(
        place.settings,
        requests_topic=place.requests,
        responses_topic=place.responses,
        answer_timeout_s=0.5,
    ) as client:
        with pytest.raises(OperatorError, match="no worker answers"):
            await client.ask({"text": "x"})
