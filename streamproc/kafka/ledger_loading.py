"""What the group has committed, read as an assignment begins, however long Kafka takes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from streamproc.clock import Clock
from streamproc.kafka.backoff import backoff_s
from streamproc.kafka.ledger import Found
from streamproc.messages.record import TopicPartition

_log = structlog.get_logger(__name__)

ReadLedger = Callable[[frozenset[TopicPartition]], Awaitable[Found]]


class LedgerLoading:
    """Reads for one assignment after another; the last one counts.

    read: asked again until it answers
    loaded: is given what was read
    last_error: why nothing has been read yet
    """

    def __init__(self, read: ReadLedger, clock: Clock, loaded: Callable[[Found], None]) -> None:
        self._read = read
        self._clock = clock
        self._loaded = loaded
        self._loading: asyncio.Task[None] | None = None
        self.last_error: str | None = None

    def begin(self, assignment: frozenset[TopicPartition]) -> None:
        """Read for this assignment, and for no other one any more."""
        self.cancel()
        self._loading = asyncio.create_task(self._load(assignment))

    def cancel(self) -> None:
        """Read for none."""
        if self._loading is not None:
            self._loading.cancel()

    async def _load(self, assignment: frozenset[TopicPartition]) -> None:
        for wait_s in backoff_s():
            try:
                found = await self._read(assignment)
                break
            except Exception as error:  # noqa: BLE001 - Kafka's clients raise a great many
                if self.last_error is None:
                    _log.warning("reading committed offsets failed", error=type(error).__name__)
                self.last_error = (
                    f"reading the group's committed offsets failed: {type(error).__name__}"
                )
                await self._clock.sleep(wait_s)
        self.last_error = None
        self._loaded(found)
