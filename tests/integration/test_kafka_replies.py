"""Replies find who asked, through a real Kafka: whoever dies, restarts or shares a topic."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from tenacity import retry, retry_if_result, stop_after_delay

from streamproc.clock import SystemClock
from streamproc.errors import BrokerUnavailable
from streamproc.kafka.producer import Producer
from streamproc.kafka.reply_client import Reply, ReplyClient
from streamproc.messages.record import ProducerRecord
from streamproc.settings import Settings
from tests.support.topics import Stored, create_topic, producing, read_all

pytestmark = pytest.mark.kafka


@pytest.fixture
def settings(kafka: str) -> Settings:
    return Settings(kafka_bootstrap_servers=kafka)


async def made_topics(kafka: str, replies_partitions: int) -> tuple[str, str]:
    """A topic for requests and one for replies, of the test's own."""
    prefix = uuid4().hex[:8]
    requests, replies = f"{prefix}.requests", f"{prefix}.replies"
    await create_topic(kafka, requests, 2)
    await create_topic(kafka, replies, replies_partitions)
    return requests, replies


@asynccontextmanager
async def answering(kafka: str, topic: str, *, times: int = 1) -> AsyncIterator[list[bytes]]:
    """Somebody who answers as Spring's listeners do, from a request's headers alone.

    times: so often each answer is sent; yields the values that were answered
    """
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    answered: list[bytes] = []

    async def answer_all(producer: AIOKafkaProducer) -> None:
        async for record in consumer:
            headers = dict(record.headers)
            for _ in range(times):
                await producer.send_and_wait(
                    headers["kafka_replyTopic"].decode(),
                    b"answer to " + record.value,
                    partition=int.from_bytes(headers["kafka_replyPartition"], "big"),
                    headers=[("kafka_correlationId", headers["kafka_correlationId"])],
                )
            answered.append(record.value)

    async with producing(kafka) as producer:
        working = asyncio.create_task(answer_all(producer))
        try:
            yield answered
        finally:
            working.cancel()
            await asyncio.wait({working})
            await consumer.stop()


@asynccontextmanager
async def asking(settings: Settings, requests: str, replies: str) -> AsyncIterator[ReplyClient]:
    """A client that is ready."""
    async with ReplyClient(settings, replies, {requests: 1 << 20}, SystemClock()) as client:
        await until(lambda: not client.not_ready())
        yield client


async def until(holds: Callable[[], bool]) -> None:
    """Returns once it holds; raises TimeoutError after a minute."""
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - what it waits for is Kafka
            await asyncio.sleep(0.05)


@retry(retry=retry_if_result(lambda stored: not stored), stop=stop_after_delay(60))
async def stored_in(kafka: str, topic: str) -> list[Stored]:
    """What a topic holds, once it holds something."""
    return await read_all(kafka, [topic])


async def ask(client: ReplyClient, topic: str, value: bytes) -> Reply:
    async with asyncio.timeout(60):
        return await client.ask(topic, value, key=value)


@pytest.mark.parametrize("replies_partitions", [1, 3])
async def test_clients_side_by_side_each_get_their_own_answers(
    kafka: str, settings: Settings, replies_partitions: int
) -> None:
    requests, replies = await made_topics(kafka, replies_partitions)
    async with (
        answering(kafka, requests, times=2),
        asking(settings, requests, replies) as one,
        asking(settings, requests, replies) as two,
    ):
        asked = [b"%d" % number for number in range(40)]
        # The same values by both: nothing but the identifier tells them apart.
        found = await asyncio.gather(
            *(ask(client, requests, value) for value in asked for client in (one, two))
        )

        assert [reply.value for reply in found] == [
            b"answer to " + value for value in asked for _ in (one, two)
        ]
        assert one.waiting == two.waiting == 0


async def test_an_answer_to_a_client_that_is_gone_reaches_nobody_else(
    kafka: str, settings: Settings
) -> None:
    requests, replies = await made_topics(kafka, 1)
    async with asking(settings, requests, replies) as gone:
        left = asyncio.create_task(ask(gone, requests, b"old"))
        await stored_in(kafka, requests)
        left.cancel()
    # It starts again at once, and the answer to the one before it comes only now.
    async with asking(settings, requests, replies) as new, answering(kafka, requests) as answered:
        reply = await ask(new, requests, b"new")

    assert reply.value == b"answer to new"
    assert b"old" in answered


async def test_a_client_waits_for_its_topic_and_says_what_to_do(
    kafka: str, settings: Settings
) -> None:
    prefix = uuid4().hex[:8]
    requests, replies = f"{prefix}.requests", f"{prefix}.replies"
    await create_topic(kafka, requests, 1)
    async with ReplyClient(settings, replies, {requests: 1 << 20}, SystemClock()) as client:
        await until(lambda: any("topics apply" in reason for reason in client.not_ready()))
        with pytest.raises(BrokerUnavailable, match="topics apply"):
            await client.ask(requests, b"x", key=b"x")

        await create_topic(kafka, replies, 1)

        await until(lambda: not client.not_ready())
        async with answering(kafka, requests):
            assert (await ask(client, requests, b"x")).value == b"answer to x"


async def test_a_reply_to_a_topic_partition_that_there_is_not_is_stored_all_the_same(
    kafka: str, settings: Settings
) -> None:
    _, replies = await made_topics(kafka, 2)
    producer = Producer(settings, SystemClock())
    await producer.start()
    try:
        for topic_partition in (1, 7):
            record = ProducerRecord(
                replies, b"k", b"%d" % topic_partition, topic_partition=topic_partition
            )
            async with asyncio.timeout(60):
                await producer.send(record)
    finally:
        await producer.stop()

    stored = {one.value: one.position[1] for one in await read_all(kafka, [replies])}
    assert stored[b"1"] == 1
    assert b"7" in stored
