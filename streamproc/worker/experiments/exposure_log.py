"""Exposures on their way to Kafka: none holds up an answer, and a commit waits for its own."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection
from typing import Any, Final

import structlog

from streamproc.clock import Clock
from streamproc.kafka.requests_in_flight import Handler
from streamproc.messages.exposure import Exposure
from streamproc.messages.parts import HandOver
from streamproc.messages.record import ProducerRecord, Record
from streamproc.metrics import Metrics

STORED_WITHIN_S: Final = 5.0
"""How long a request that is answered may wait to be committed: an experiment is not worth more."""


NOT_WAITED_S: Final = 30.0
"""After one that took longer, how long no request waits for its own."""

log = structlog.get_logger(__name__)


class ExposureLog:
    """Hands exposures over, each tried once; what is not stored is counted."""

    def __init__(self, topic: str, hand_over: HandOver, clock: Clock, metrics: Metrics) -> None:
        self._topic = topic
        self._hand_over = hand_over
        self._clock = clock
        self._waits_from_s = 0.0
        self._metrics = metrics
        self._under_way: set[asyncio.Task[None]] = set()
        self._of_record: defaultdict[str, list[asyncio.Task[None]]] = defaultdict(list)

    def note(self, exposure: dict[str, Any], position: str | None) -> None:
        """Take the fields of one.

        position: of the record that is committed behind it; None: nothing waits for it
        No mistake in it is the request's: it is made, and counted as lost, in a task of its own.
        """
        storing = asyncio.create_task(self._store(exposure))
        self._under_way.add(storing)
        storing.add_done_callback(self._under_way.discard)
        if position is not None:
            self._of_record[position].append(storing)

    def recording(self, handler: Handler) -> Handler:
        """A handler that returns, so that its record is committed, behind the record's exposures.

        So a request that is committed is in the record of its experiment, unless Kafka refused it
        or was away; one that is answered again after a crash is there twice.
        """

        async def recorded(record: Record) -> None:
            try:
                await handler(record)
            except BaseException:
                self._of_record.pop(record.position, None)
                raise
            storing = self._of_record.pop(record.position, None)
            if storing:
                await self._wait(storing)

        return recorded

    async def _wait(self, storing: Collection[asyncio.Task[None]]) -> None:
        """For a moment; while Kafka takes none, not even that."""
        if self._clock.monotonic_s() < self._waits_from_s:
            return
        _, late = await asyncio.wait(storing, timeout=STORED_WITHIN_S)
        if late:
            self._waits_from_s = self._clock.monotonic_s() + NOT_WAITED_S

    async def close(self) -> None:
        """Wait for what is under way, as long as for one."""
        if not self._under_way:
            return
        _, late = await asyncio.wait(self._under_way, timeout=STORED_WITHIN_S)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    async def _store(self, fields: dict[str, Any]) -> None:
        is_stored = False
        try:
            exposure = Exposure.model_validate(fields)
            record = ProducerRecord(self._topic, exposure.key, exposure.encode())
            is_stored = await (await self._hand_over(record))
        except Exception as error:  # noqa: BLE001 - an experiment is not worth a request
            said = f"{type(error).__name__}: {error}"
            log.warning("exposure could not be made", error=said)
        finally:
            if not is_stored:
                lost = fields["experiment"], fields["arm"]
                self._metrics.exposures_lost.labels(*lost).inc()
