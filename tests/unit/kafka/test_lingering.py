"""A record waits for others only where others are under way."""

from __future__ import annotations

from aiokafka import AIOKafkaProducer
from aiokafka.structs import TopicPartition

from streamproc.kafka.private_api import linger_if_busy


async def test_a_record_that_is_alone_does_not_linger() -> None:
    producer = AIOKafkaProducer(linger_ms=5)
    waiting = producer._message_accumulator
    linger_if_busy(producer, 5)
    alone = await waiting.add_batch(waiting.create_builder(), TopicPartition("t", 0), 1)
    assert waiting._batches[TopicPartition("t", 0)][0].remaining_linger() is None
    linger_if_busy(producer, 5)
    assert waiting._linger_time == 0.005
    # Handed to a broker, and not acknowledged yet.
    waiting._pop_batch(TopicPartition("t", 0))
    linger_if_busy(producer, 5)
    assert waiting._linger_time == 0.005
    alone.set_result(None)
