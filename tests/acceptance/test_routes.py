"""A route on a real Kafka: every event out, to the byte, also where workers are killed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from streamproc.settings import read_settings
from tests.support.command import streamproc
from tests.support.isolation import describe_topics
from tests.support.shop_events import differences, shop_events
from tests.support.topics import Position, Sent, Stored, create_topic, read_all, send
from tests.support.worker_process import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
EVENTS = 400
UNREADABLE = b'{"body": NaN}'


def describe_route(folder: Path, prefix: str) -> None:
    """The shipped example, over topics of its own and from their beginning."""
    folder.mkdir()
    shipped = read_settings().topics_dir / "examples" / "routes" / "shop-reviews.yaml"
    text = shipped.read_text("utf-8").replace("shop.reviews.", f"{prefix}.reviews.")
    text = text.replace("start: latest", "start: earliest").replace("deadline_ms: 60000\n", "")
    (folder / "shop-reviews.yaml").write_text(
        text.replace("examples: [shop-review.json]\n", ""), "utf-8"
    )


def source_of(record: Stored) -> Position:
    """Where the event lies that this one was made from."""
    topic, partition, offset = (
        record.headers[f"streamproc-source-{name}"] for name in ("topic", "partition", "offset")
    )
    return topic.decode(), int(partition), int(offset)


async def test_every_event_comes_out_to_the_byte_though_workers_are_killed(
    kafka: str, tmp_path: Path
) -> None:
    topics = describe_topics(kafka, tmp_path / "topics", "routed")
    describe_route(tmp_path / "routes", "routed")
    settings = {**topics.settings, "ROUTES_DIR": str(tmp_path / "routes")}
    applied = await asyncio.to_thread(streamproc, "topics", "apply", settings=settings)
    assert applied.returncode == 0, applied.stdout + applied.stderr
    await create_topic(kafka, "routed.reviews.v1", topic_partitions=3)
    events = list(shop_events(EVENTS))
    sent = [
        Sent(event, "routed.reviews.v1", (("a", b"header"),), str(number).encode())
        for number, event in enumerate(events)
    ]
    sent.append(Sent(UNREADABLE, "routed.reviews.v1"))
    positions = await send(kafka, sent)
    went_in = dict(zip(positions, events, strict=False))

    workers = [
        WorkerProcess(kafka, "routed", tmp_path / f"worker-{number}.log", settings)
        for number in range(2)
    ]
    out = "routed.reviews.enriched.v1"
    try:
        for worker in workers:
            worker.start()
        await workers[0].wait_until_ready(timeout_s=240)
        for worker in workers:
            worker.kill()
            worker.start()
        for _ in range(300):
            enriched = await read_all(kafka, [out])
            letters = await read_all(kafka, ["routed.reviews.dlq.v1"])
            if letters and {source_of(one) for one in enriched} == set(went_in):
                break
            await asyncio.sleep(1)
        exits = [await worker.terminate() for worker in workers]
    finally:
        for worker in workers:
            worker.stop()

    assert {source_of(one) for one in enriched} == set(went_in)
    assert exits == [0, 0]
    wrong = [
        (source_of(one), why)
        for one in enriched
        for why in differences(went_in[source_of(one)], one.value or b"")
    ]
    assert not wrong
    assert {one.headers["a"] for one in enriched} == {b"header"}
    assert {one.headers["streamproc-route"] for one in enriched} == {b"shop-reviews"}
    assert {one.value for one in letters} == {UNREADABLE}
    assert letters[0].headers["kafka_dlt-original-topic"] == b"routed.reviews.v1"
