"""Kafka's clients, told to wait while no broker answers, or a topic is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from aiokafka.client import AIOKafkaClient

from streamproc.kafka.private_api import MetadataUpdate, replace_metadata_update

WAIT_S: Final = 0.5


def wait_after_failed_updates(
    client: AIOKafkaClient, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> None:
    """Make an `AIOKafkaClient` wait between attempts to learn where its topics are.

    Several of aiokafka's loops ask for metadata again as soon as it could not be had, or does not
    have a topic with records to be sent. While a broker or a topic is away they take a core for
    themselves and log thousands of lines a second. There is no setting for it.
    """

    def with_wait(update: MetadataUpdate) -> MetadataUpdate:
        async def update_and_wait(cluster: Any, topics: Iterable[str] | None) -> bool:
            updated = bool(await update(cluster, topics))
            there = updated and all(cluster.partitions_for_topic(name) for name in topics or ())
            if not there:
                await sleep(WAIT_S)
            return updated

        return update_and_wait

    replace_metadata_update(client, with_wait)
