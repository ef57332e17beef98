"""Produce requests to Kafka and read their answers.

Run it beside a Kafka and a worker:

    streamproc broker &
    streamproc topics apply
    streamproc worker &
    python examples/ask_over_kafka.py

Or with your own brokers in STREAMPROC_KAFKA_BOOTSTRAP_SERVERS.
"""

from __future__ import annotations

import asyncio

import streamproc

REVIEWS = [
    "The plot drags, but the acting is a joy.",
    "I want those two hours back.",
    "A film that stays with you.",
]


async def main() -> None:
    """Ask about all reviews at once, and print the answers as they come."""
    settings = streamproc.Settings()
    async with streamproc.RequestClient.of_task(settings, "text-classification") as client:

        async def ask(number: int, review: str) -> None:
            # Your own name for a request goes into `metadata`, which comes back as it was sent.
            request = {"text": review, "metadata": {"review": number}}
            response = await client.ask(request)
            if response["status"] == "error":
                print(f"{number}: {response['error']['detail']}")
                return
            result = response["result"]
            print(f"{response['metadata']['review']}: {result['label']} {result['score']:.3f}")

        await asyncio.gather(*(ask(number, review) for number, review in enumerate(REVIEWS)))


if __name__ == "__main__":
    asyncio.run(main())
