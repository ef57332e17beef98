"""Faust's consumer, told to look for news more often than it does."""

from __future__ import annotations

from typing import Any

import faust
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer

from streamproc.kafka.patience import wait_after_failed_updates
from streamproc.kafka.record_batches import read_every_record

FETCH_MAX_WAIT_MS = 50
POLL_TIMEOUT_S = 0.05


def fetch_often(app: faust.App) -> None:
    """Make an app that has not started yet consume without Faust's long waits.

    aiokafka has one fetch under way per broker, and a topic-partition that it does not cover waits
    until it returns: in Faust after 1.5 s without news, which is how long every other record of a
    quiet topic, or an interactive one beside a backlog, then takes. And a topic-partition that is
    resumed waits for the poll that goes on without it, up to a second.
    """
    app.transport.Consumer = _Consumer


class _Thread(AIOKafkaConsumerThread):  # type: ignore[misc]
    def _create_worker_consumer(self, transport: Any) -> Any:
        read_every_record()
        consumer = super()._create_worker_consumer(transport)
        # Faust has no setting for it.
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS  # noqa: SLF001
        wait_after_failed_updates(consumer._client)  # noqa: SLF001
        return consumer


class _Consumer(Consumer):  # type: ignore[misc]
    def _new_consumer_thread(self) -> Any:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's
        return await super()._wait_next_records(min(timeout, POLL_TIMEOUT_S))
