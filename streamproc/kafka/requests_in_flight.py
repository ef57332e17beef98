"""Requests being handled: one task each, owned here, until finished or given up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container
from typing import Final, Protocol

import structlog

from streamproc.clock import Clock
from streamproc.errors import WorkerFault
from streamproc.kafka.backoff import backoff_s
from streamproc.kafka.offsets import Delivery
from streamproc.messages.dead_letter_bound import DeadLetterBound
from streamproc.messages.record import Record, TopicPartition
from streamproc.panics import panics_as_exceptions

_log = structlog.get_logger(__name__)

ATTEMPTS: Final = 3


class Handler(Protocol):
    """The whole way of one request."""

    async def __call__(self, record: Record) -> None:
        """Returns once the response is stored by the broker; never raises for a bad record."""
        ...


class Refuse(Protocol):
    """Gives up on a record that can't be handled."""

    async def __call__(self, record: Record, title: str, detail: str, /) -> None:
        """Returns once it is a dead letter, and its sender told; title, detail: why."""
        ...


class RequestsInFlight:
    """Runs handlers, and says which are done.

    finished: called with the delivery of a request whose handler returned, or that was given up on
    ended:    called for every request that is no longer in flight, whatever became of it
    failed:   called when nothing can be done about a request, which must not be lost
    bound:    of requests that become dead letters by a bug; None: there is none
    """

    def __init__(
        self,
        clock: Clock,
        *,
        finished: Callable[[Delivery], object],
        ended: Callable[[Delivery, Record], object],
        failed: Callable[[Record, Exception], object],
        bound: DeadLetterBound | None = None,
    ) -> None:
        self._clock = clock
        self._finished = finished
        self._ended = ended
        self._failed = failed
        self._bound = bound
        self._tasks: dict[Delivery, tuple[asyncio.Task[None], Record]] = {}
        self.handler_errors = 0

    def __len__(self) -> int:
        return len(self._tasks)

    def start(
        self, delivery: Delivery, record: Record, handler: Handler, refuse: Refuse | None = None
    ) -> None:
        """Begin with a request, without waiting for it.

        refuse: what is done when its handler keeps raising; None: the worker ends
        """
        task = asyncio.create_task(self._handle(delivery, record, handler, refuse))
        self._tasks[delivery] = task, record

        # Also when the task was cancelled before its first step, which no `finally` would see.
        def end(_: asyncio.Task[None]) -> None:
            del self._tasks[delivery]
            self._ended(delivery, record)

        task.add_done_callback(end)

    def record_of(self, delivery: Delivery) -> Record | None:
        """The record of a request in flight; None: it is not."""
        found = self._tasks.get(delivery)
        return None if found is None else found[1]

    def in_flight_of(self, topics: Container[str]) -> dict[Delivery, Record]:
        """The requests in flight that came by some topics."""
        return {
            delivery: record
            for delivery, (_, record) in self._tasks.items()
            if delivery.topic_partition.topic in topics
        }

    async def drain(self, within_s: float, among: Container[TopicPartition] | None = None) -> bool:
        """Wait for requests to finish; False when time ran out before all had."""
        tasks = self._of(among)
        if tasks:
            await asyncio.wait(tasks, timeout=within_s)
        return all(task.done() for task in tasks)

    async def cancel(self, among: Container[TopicPartition] | None = None) -> int:
        """Cancel requests; returns how many, once each has ended (at most five seconds)."""
        tasks = self._of(among)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=5)
        return len(tasks)

    def _of(self, among: Container[TopicPartition] | None) -> list[asyncio.Task[None]]:
        return [
            task
            for delivery, (task, _) in self._tasks.items()
            if among is None or delivery.topic_partition in among
        ]

    async def _handle(
        self, delivery: Delivery, record: Record, handler: Handler, refuse: Refuse | None
    ) -> None:
        for attempt, wait_s in enumerate(backoff_s(), start=1):
            try:
                with panics_as_exceptions():
                    await handler(record)
            except WorkerFault as fault:
                # Said by a handler that is told to end: no record's fault.
                self._failed(record, fault)
                return
            except Exception as error:  # noqa: BLE001 - a bug: the request must still not be lost
                self.handler_errors += 1
                _log.error(
                    "request handler failed",
                    position=record.position,
                    attempt=attempt,
                    error=type(error).__name__,
                    # The frames, not the message: that may quote what the user sent.
                    where=_where(error),
                )
                if attempt == ATTEMPTS:
                    await self._refuse_or_fail(delivery, record, refuse, error)
                    return
                await self._clock.sleep(wait_s)
            else:
                self._finished(delivery)
                return

    async def _refuse_or_fail(
        self, delivery: Delivery, record: Record, refuse: Refuse | None, error: Exception
    ) -> None:
        if refuse is None:
            self._failed(record, error)
            return
        kind = type(error).__name__
        try:
            if self._bound is not None:
                self._bound.failed("bug")
            detail = f"a bug of the worker's, met {ATTEMPTS} times ({kind} in {_where(error)})"
            with panics_as_exceptions():
                await refuse(record, "internal error", detail)
        except Exception as again:  # noqa: BLE001 - nothing is left to try
            self._failed(record, again)
        else:
            self._finished(delivery)


def _where(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace else "unknown"
