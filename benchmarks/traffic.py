"""Requests to Kafka, and answers from it, with the moments they were sent and came."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks.measure import BenchmarkFailed

TASK: Final = "text-classification"
INTERACTIVE_TOPIC: Final = f"nlp.{TASK}.requests.v1"
BULK_TOPIC: Final = f"nlp.{TASK}.bulk.v1"
RESPONSES_TOPIC: Final = f"nlp.{TASK}.responses.v1"

Body = Callable[[str, str], bytes]
"""The value of a record, of its id and its text."""

# Answers that stop coming for so long will not come any more.
STALL_S: Final = 120.0


class Exchange:
    """Requests that belong together, by number, and what became of them.

    sent_s, answered_s: by number, seconds on one clock of this process
    responses: by number
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.sent_s: dict[int, float] = {}
        self.answered_s: dict[int, float] = {}
        self.responses: dict[int, dict[str, Any]] = {}
        self.repeated = 0
        self._came = asyncio.Event()

    def take(self, number: int, response: dict[str, Any], now_s: float) -> None:
        """A response came; one that came before is only counted."""
        if number in self.responses:
            self.repeated += 1
            return
        self.responses[number] = response
        self.answered_s[number] = now_s
        self._came.set()

    async def complete(self, count: int, stall_s: float = STALL_S) -> None:
        """Wait for `count` answers; raises BenchmarkFailed when none comes for `stall_s`."""
        while len(self.responses) < count:
            self._came.clear()
            try:
                await asyncio.wait_for(self._came.wait(), stall_s)
            except TimeoutError:
                raise BenchmarkFailed(
                    f"{len(self.responses)} of {count} requests were answered, and then none "
                    f"for {stall_s:g} s"
                ) from None

    def refused(self) -> list[dict[str, Any]]:
        """The responses that are no answers; events have none of their own."""
        return [each for each in self.responses.values() if each.get("status", "ok") != "ok"]


def request(name: str, text: str) -> bytes:
    """A request."""
    return orjson.dumps({"id": name, "text": text})


class Traffic:
    """Sends requests and receives every answer."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer
        self._exchanges: dict[str, Exchange] = {}

    def exchange(self) -> Exchange:
        """A new one, told apart by the ids of its requests."""
        opened = Exchange(uuid.uuid4().hex[:12])
        self._exchanges[opened.name] = opened
        return opened

    async def send(
        self, exchange: Exchange, topic: str, number: int, text: str, body: Body = request
    ) -> None:
        """Hand one request to the producer."""
        value = body(f"{exchange.name}-{number}", text)
        exchange.sent_s[number] = time.perf_counter()
        await self._producer.send(topic, value)

    async def send_all(
        self, exchange: Exchange, topic: str, texts: Sequence[str], body: Body = request
    ) -> None:
        """Send all as fast as the broker takes them; returns when it has stored them."""
        for number, text in enumerate(texts):
            await self.send(exchange, topic, number, text, body)
        await self._producer.flush()

    def receive(self, value: bytes, now_s: float) -> None:
        """Give a response to the exchange it belongs to; others' are passed over."""
        response = orjson.loads(value)
        name, _, number = str(response["id"]).rpartition("-")
        exchange = self._exchanges.get(name)
        if exchange is not None:
            exchange.take(int(number), response, now_s)


@asynccontextmanager
async def open_traffic(
    bootstrap_servers: str, answers: Sequence[str] = (RESPONSES_TOPIC,)
) -> AsyncIterator[Traffic]:
    """Traffic with the worker behind these brokers; its consumer has no group, commits nothing.

    answers: the topics that answers come by
    """
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers, acks="all", linger_ms=2, max_batch_size=65_536
    )
    consumer = AIOKafkaConsumer(
        *answers,
        bootstrap_servers=bootstrap_servers,
        group_id=None,
        auto_offset_reset="latest",
        enable_auto_commit=False,
    )
    traffic = Traffic(producer)
    await producer.start()
    try:
        await consumer.start()
        try:
            # Where the topic ends must be known before the first request, or answers are missed.
            for topic_partition in consumer.assignment():
                await consumer.position(topic_partition)
            reading = asyncio.create_task(_read(consumer, traffic))
            try:
                yield traffic
            finally:
                reading.cancel()
                await asyncio.wait({reading})
                if not reading.cancelled() and reading.exception() is not None:
                    raise BenchmarkFailed(f"reading answers failed: {reading.exception()!r}")
        finally:
            await consumer.stop()
    finally:
        await producer.stop()


async def _read(consumer: AIOKafkaConsumer, traffic: Traffic) -> None:
    while True:
        batches = await consumer.getmany(timeout_ms=1000, max_records=1000)
        now_s = time.perf_counter()
        for records in batches.values():
            for record in records:
                traffic.receive(record.value, now_s)
