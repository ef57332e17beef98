"""A record that a topic takes in no case is given up; those that are sent with it are stored."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import InvalidTimestampError, MessageSizeTooLargeError, for_code

from streamproc.errors import RefusedRecord, TooLarge
from streamproc.kafka import producer as producer_module
from streamproc.kafka.producer import Producer
from streamproc.messages.record import ProducerRecord
from streamproc.settings import Settings
from streamproc.testing import ManualClock
from tests.support.instead import letter

INVALID_RECORD = 87
TOPIC = "enriched"


class Topic:
    """Takes batches whole, or refuses them whole for one record in them."""

    def __init__(self, error: type[Exception], *poison: ProducerRecord) -> None:
        self._error = error
        self._poison = poison
        self._batch: list[tuple[ProducerRecord, asyncio.Future[object]]] = []
        self.stored: list[ProducerRecord] = []

    async def hand_over(self, _client: Any, record: ProducerRecord) -> asyncio.Future[object]:
        """Into the batch that goes with this turn of the loop."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[object] = loop.create_future()
        if not self._batch:
            loop.call_soon(self._take)
        self._batch.append((record, done))
        return done

    def _take(self) -> None:
        batch, self._batch = self._batch, []
        is_refused = any(record in self._poison for record, _ in batch)
        for record, done in batch:
            if is_refused:
                done.set_exception(self._error("refused"))
            else:
                self.stored.append(record)
                done.set_result(None)


def producer_to(topic: Topic, monkeypatch: pytest.MonkeyPatch) -> Producer:
    async def replace(_failed: Any) -> None: ...

    monkeypatch.setattr(producer_module, "_hand_over_soon", topic.hand_over)
    producer = Producer(Settings(), ManualClock())
    monkeypatch.setattr(producer, "_client", object())
    monkeypatch.setattr(producer, "_replace", replace)
    return producer


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (InvalidTimestampError, "its timestamp is not within message.timestamp.before.max.ms"),
        (for_code(INVALID_RECORD), "it fails the broker's validation"),
    ],
)
async def test_one_record_that_its_topic_refuses_stops_no_other(
    error: type[Exception], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison = ProducerRecord(TOPIC, None, b"old", timestamp_ms=1, instead=letter)
    others = [ProducerRecord(TOPIC, b"%d" % at, b"new", instead=letter) for at in range(8)]
    topic = Topic(error, poison)
    producer = producer_to(topic, monkeypatch)

    async with asyncio.timeout(5):
        refused, *stored = await asyncio.gather(
            *(producer.send(one) for one in [poison, *others]), return_exceptions=True
        )

    assert isinstance(refused, RefusedRecord)
    assert says in refused.detail
    assert stored == [None] * len(others)
    assert sorted(one.key or b"" for one in topic.stored) == [one.key for one in others]
    assert not producer.troubles.reasons()


async def test_of_small_records_only_the_one_that_its_topic_has_no_room_for_is_too_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A topic that takes less than a batch may have refused the batch."""
    large = ProducerRecord(TOPIC, None, b"x" * 1000)
    others = [ProducerRecord(TOPIC, b"%d" % at, b"small") for at in range(8)]
    topic = Topic(MessageSizeTooLargeError, large)
    producer = producer_to(topic, monkeypatch)

    async with asyncio.timeout(5):
        refused, *stored = await asyncio.gather(
            *(producer.send(one) for one in [large, *others]), return_exceptions=True
        )

    assert isinstance(refused, TooLarge)
    assert stored == [None] * len(others)
    assert sorted(one.key or b"" for one in topic.stored) == [one.key for one in others]


async def test_a_record_that_must_not_be_lost_is_tried_until_it_is_stored_and_its_topic_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = ProducerRecord(TOPIC, None, b"answer", is_last_resort=True)
    topic = Topic(for_code(INVALID_RECORD), answer)
    producer = producer_to(topic, monkeypatch)
    sending = asyncio.create_task(producer.send(answer))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not sending.done()
    assert "a compacted topic takes no record without a key" in str(producer.troubles.reasons())
    topic._poison = ()
    async with asyncio.timeout(5):
        await sending
    assert topic.stored == [answer]
