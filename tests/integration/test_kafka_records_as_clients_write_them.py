"""Records as other clients write them, and as disks leave them, against a real Kafka."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from aiokafka import AIOKafkaProducer

from streamproc.kafka.client import RequestClient
from streamproc.kafka.embedded import EmbeddedBroker
from streamproc.kafka.producer import Producer
from streamproc.kafka.topic_reader import read_topic
from streamproc.messages.record import Record
from tests.support.kafka_place import Place, echo, until, until_answered, working
from tests.support.record_batches import batch

pytestmark = pytest.mark.kafka


@pytest.mark.parametrize("codecs", [("lz4", "zstd"), ("gzip", "snappy")])
async def test_requests_and_responses_of_any_codec_are_read(
    kafka: str, codecs: tuple[str, str]
) -> None:
    place = Place(kafka, topic_partitions=1)
    requests, responses = ({"compression.type": codec} for codec in codecs)
    await place.make(requests=requests, responses=responses)
    keys = await place.send(20, size_bytes=500)
    for codec in codecs:
        # What comes by the bulk topic keeps the codec of its producer.
        async with AIOKafkaProducer(bootstrap_servers=kafka, compression_type=codec) as producer:
            for number in range(20):
                key = f"{codec}-{number}".encode()
                await producer.send_and_wait(place.bulk, b"x" * 500, key=key)
                keys.add(key)
    async with working(place, echo(place)):
        await until_answered(place, keys)
        client = RequestClient(
            place.settings,
            requests_topic=place.requests,
            responses_topic=place.responses,
            answer_timeout_s=20,
        )
        async with client:
            answer: Mapping[str, object] = await client.ask({"text": "a fine film " * 40})
            assert answer["text"] == "a fine film " * 40


async def test_a_record_that_the_client_cannot_read_comes_between_its_neighbours(
    broker: EmbeddedBroker,
) -> None:
    place = Place(broker.bootstrap_servers, topic_partitions=1)
    await place.make()
    await place.send_batch(batch([b"a", b"odd", b"b"], headers=[[], [(b"\xff\xfe", b"v")]]))
    await place.send_batch(batch([b"lost-on-disk"]))
    await place.send_batch(batch([b"c"]))
    (segment,) = broker.data_dir.rglob(f"{place.requests}-0/*.log")
    stored = segment.read_bytes()
    assert stored.count(b"lost-on-disk") == 1
    segment.write_bytes(stored.replace(b"lost-on-disk", b"LOST-ON-DISK"))
    seen: list[Record] = []

    async def handle(_: Producer, record: Record) -> None:
        seen.append(record)

    async with working(place, handle) as (_, stop, running):
        await until(lambda: len(seen) == 5, running)
        stop.set()
        await running
    assert [record.offset for record in seen] == [0, 1, 2, 3, 4]
    assert [record.value for record in seen] == [b"a", b"odd", b"b", b"", b"c"]
    assert seen[1].headers == (("\\xff\\xfe", b"v"),)
    assert seen[3].unreadable == "the checksum of its batch is wrong"
    assert [record.unreadable for record in seen if record.offset != 3] == [None] * 4
    assert await place.committed() == {(place.requests, 0): 5}
    # Our own readers go on, too.
    assert [r.unreadable is None async for r in read_topic(place.settings, place.requests)] == [
        True,
        True,
        True,
        False,
        True,
    ]
