"""aiokafka and ONNX Runtime, as people write it: polls of some records, one batch each."""

from __future__ import annotations

import asyncio

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks.peers.scorer import Asked, Scorer


async def main() -> None:
    """Answer until the process is ended."""
    asked = Asked.by_environment()
    scorer = Scorer.of(asked)
    consumer = AIOKafkaConsumer(
        asked.requests,
        bootstrap_servers=asked.servers,
        group_id="peer-aiokafka",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    producer = AIOKafkaProducer(bootstrap_servers=asked.servers, acks="all", linger_ms=2)
    await consumer.start()
    await producer.start()
    while True:
        polled = await consumer.getmany(timeout_ms=1000, max_records=asked.batch)
        requests = [orjson.loads(each.value) for records in polled.values() for each in records]
        if not requests:
            continue
        for response in await asyncio.to_thread(scorer.answer, requests):
            await producer.send(asked.responses, orjson.dumps(response))
        await producer.flush()
        await consumer.commit()


if __name__ == "__main__":
    asyncio.run(main())
