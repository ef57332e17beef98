"""What waits for a client that is put away, and what a client does that nobody waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaTimeoutError
from aiokafka.producer.message_accumulator import MessageAccumulator
from aiokafka.producer.sender import Sender

from streamproc.clock import SystemClock
from streamproc.errors import KafkaRefused, NoKafka
from streamproc.kafka import background, topic_reader
from streamproc.kafka import producer as producer_module
from streamproc.kafka.background import ended
from streamproc.kafka.producer import Producer
from streamproc.kafka.topic_reader import read_topic, reader
from streamproc.messages.record import ProducerRecord
from streamproc.settings import Settings
from tests.support.without_broker import without_broker

NOWHERE = Settings(kafka_bootstrap_servers="127.0.0.1:1")


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> dict[str, Collection[str]]:
    """What there is; a producer stores what it is handed at once, and looks for a topic shortly."""
    known: dict[str, Collection[str]] = {"topics": ["there"]}
    without_broker(monkeypatch, known)

    async def has_id(_self: Any) -> None: ...

    async def add(_self: Any, *_: Any, **__: Any) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    monkeypatch.setattr(Sender, "_maybe_wait_for_pid", has_id)
    monkeypatch.setattr(MessageAccumulator, "add_message", add)
    monkeypatch.setattr(producer_module, "AIOKafkaProducer", Made)
    monkeypatch.setattr(producer_module, "HAND_OVER_TIMEOUT_S", 0.6)
    monkeypatch.setattr(Made, "all", [], raising=False)
    return known


class Made(AIOKafkaProducer):  # type: ignore[misc]
    """Those that were made."""

    all: list[Made]

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "request_timeout_ms": 500})
        self.all.append(self)


async def test_who_waits_for_a_topic_by_a_client_that_is_put_away_goes_on_by_the_next_one(
    known: dict[str, Collection[str]],
) -> None:
    producer = Producer(NOWHERE, SystemClock())
    await producer.start()
    first = asyncio.create_task(producer.send(ProducerRecord("away", b"1", b"")))
    await asyncio.sleep(0.3)
    # The first one's time is over, and its client put away, while this one waits by it.
    second = asyncio.create_task(producer.send(ProducerRecord("away", b"2", b"")))
    await asyncio.sleep(1.0)
    assert not first.done()
    assert not second.done()
    known["topics"] = ["there", "away"]
    async with asyncio.timeout(30):
        await asyncio.gather(first, second)
    await producer.stop()


async def test_whoever_leaves_while_another_producer_connects_leaves_none_behind(
    known: dict[str, Collection[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    known["unauthorized"] = ["forbidden"]
    producer = Producer(NOWHERE, SystemClock())
    await producer.start()

    async def no_id_yet(_self: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Sender, "_maybe_wait_for_pid", no_id_yet)
    for _ in range(3):
        leaving = asyncio.create_task(producer.send(ProducerRecord("forbidden", b"", b"")))
        await asyncio.sleep(0.2)
        leaving.cancel()
        await asyncio.wait({leaving})
    await producer.stop()

    assert len(Made.all) > 1
    assert not [one for one in Made.all if one.client._sync_task is not None]


async def test_leaving_a_reader_whose_broker_is_away_tells_the_error_and_closes_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_broker(monkeypatch, {"topics": ["answers"]})
    opened: list[AIOKafkaConsumer] = []

    async def use() -> None:
        async with reader(NOWHERE) as consumer:
            opened.append(consumer)
            consumer.assign([TopicPartition("answers", 0)])
            consumer.seek(TopicPartition("answers", 0), 5)
            await consumer.getmany(timeout_ms=300)
            raise RuntimeError("what the caller is to learn")

    with pytest.raises(RuntimeError, match="what the caller is to learn"):
        await use()
    assert opened[0]._client._sync_task is None


async def test_whoever_is_cancelled_while_a_reader_closes_is_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_broker(monkeypatch, {"topics": ["answers"]})
    is_closing = asyncio.Event()

    async def stop(_self: Any) -> None:
        is_closing.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(AIOKafkaConsumer, "stop", stop)

    async def use() -> None:
        async with reader(NOWHERE):
            pass

    using = asyncio.create_task(use())
    await is_closing.wait()
    using.cancel()
    with pytest.raises(asyncio.CancelledError):
        await using


async def test_reading_a_topic_says_that_the_brokers_have_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_broker(monkeypatch, {"topics": ["letters"]})
    asked: list[int] = []

    async def ends(_self: Any, topic_partitions: Any) -> dict[Any, int]:
        asked.append(1)
        if len(asked) > 2:
            raise KafkaTimeoutError("no broker answers")
        return dict.fromkeys(topic_partitions, 5)

    async def firsts(_self: Any, topic_partitions: Any) -> dict[Any, int]:
        return dict.fromkeys(topic_partitions, 0)

    async def topics(_self: Any) -> set[str]:
        return {"letters"}

    monkeypatch.setattr(AIOKafkaConsumer, "end_offsets", ends)
    monkeypatch.setattr(AIOKafkaConsumer, "beginning_offsets", firsts)
    monkeypatch.setattr(AIOKafkaConsumer, "topics", topics)
    monkeypatch.setattr(AIOKafkaConsumer, "partitions_for_topic", lambda *_: {0})
    monkeypatch.setattr(topic_reader, "QUIET_POLLS", 2)

    with pytest.raises((NoKafka, KafkaRefused)):
        async with asyncio.timeout(60):
            _ = [record async for record in read_topic(NOWHERE, "letters")]


async def test_a_task_that_loses_its_cancellation_is_cancelled_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(background, "CANCEL_AGAIN_S", 0.01)
    lost: list[int] = []

    async def lose_the_first() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            lost.append(1)
        await asyncio.Event().wait()

    task = asyncio.create_task(lose_the_first())
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await ended(task)
    assert task.cancelled()
    assert lost == [1]
