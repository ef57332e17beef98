"""FastStream: a batch subscriber, whose handler runs models on a thread."""

from __future__ import annotations

import asyncio
from typing import Any

from faststream import FastStream
from faststream.kafka import KafkaBroker

from benchmarks.peers.scorer import Asked, Scorer


async def main() -> None:
    """Answer until the process is ended."""
    asked = Asked.by_environment()
    scorer = Scorer.of(asked)
    broker = KafkaBroker(asked.servers, acks="all", linger_ms=2)

    async def answered(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return await asyncio.to_thread(scorer.answer, requests)

    publisher = broker.publisher(asked.responses, batch=True)
    subscriber = broker.subscriber(
        asked.requests,
        group_id="peer-faststream",
        auto_offset_reset="earliest",
        batch=True,
        max_records=asked.batch,
    )
    publisher(subscriber(answered))
    await FastStream(broker).run()


if __name__ == "__main__":
    asyncio.run(main())
