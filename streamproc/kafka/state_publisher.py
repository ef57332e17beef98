"""Storing what a worker says of itself: tried once each, and never in anybody's way."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from streamproc.clock import Clock
from streamproc.errors import OperatorError
from streamproc.kafka.metadata_backoff import wait_after_failed_updates
from streamproc.kafka.security import connection_options
from streamproc.kafka.topic_admin import TopicAdmin
from streamproc.settings import Settings

SEND_TIMEOUT_S: Final = 5.0
TRY_AGAIN_S: Final = 30.0

_log = structlog.get_logger(__name__)


class StatePublisher:
    """Stores the states of one worker on a topic, over a connection of its own.

    Nothing that goes wrong here is raised, or keeps the worker from its requests: it is said once
    in the log, and tried again after half a minute. The worker's own producer would try one record
    until it is stored, and call the worker not ready meanwhile.
    """

    def __init__(self, settings: Settings, topic: str, worker: str, clock: Clock) -> None:
        """worker: its id, the key of its records"""
        self._settings = settings
        self._topic = topic
        self._key = worker.encode()
        self._clock = clock
        self._client: AIOKafkaProducer | None = None
        self._rests_until_s = 0.0
        self._warned_of: str | None = None

    async def publish(self, value: bytes) -> bool:
        """Store a state; whether it was."""
        if self._clock.monotonic_s() < self._rests_until_s:
            return False
        return await self._stored(value)

    async def close(self) -> None:
        """Store a tombstone, if any state was stored, and close the connection."""
        if self._client is not None:
            await self._stored(None)
        await self._disconnect()

    async def _stored(self, value: bytes | None) -> bool:
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                client = self._client or await self._connect()
                await client.send_and_wait(self._topic, key=self._key, value=value)
        except TimeoutError:
            await self._rest("no broker has stored it in time")
        except (KafkaError, OperatorError, OSError) as error:
            await self._rest(str(error) or type(error).__name__)
        else:
            if self._warned_of is not None:
                _log.info("state is published", topic=self._topic)
                self._warned_of = None
            return True
        return False

    async def _connect(self) -> AIOKafkaProducer:
        # Asked first: a broker that makes topics as they are named would make it another way.
        async with TopicAdmin(self._settings) as admin:
            if await admin.missing({self._topic}):
                raise OperatorError(
                    f"topic {self._topic} does not exist; `streamproc topics apply` creates it. "
                    "Or this user may not write it: then an ACL is missing"
                )
        client = AIOKafkaProducer(
            **connection_options(self._settings), acks=1, request_timeout_ms=5_000
        )
        wait_after_failed_updates(client.client, self._clock.sleep)
        try:
            await client.start()
        except BaseException:
            await client.stop()
            raise
        self._client = client
        return client

    async def _rest(self, reason: str) -> None:
        self._rests_until_s = self._clock.monotonic_s() + TRY_AGAIN_S
        if self._warned_of is None:
            _log.warning(
                "state is not published, so `streamproc status` can't show this worker; its "
                "requests are answered all the same",
                topic=self._topic,
                reason=reason,
            )
        self._warned_of = reason
        await self._disconnect()

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await client.stop()
        except (TimeoutError, KafkaError, OSError):
            return
