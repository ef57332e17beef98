"""The way of a request, from the record it came in to the record that answers it.

consume → decode → chunk → encode → queue → batch →
    fan out → combine → stitch → publish → acknowledge

Consuming and acknowledging are the caller's (`kafka/`): a record may be acknowledged once
`Pipeline.__call__` has returned, and not before. What may go wrong, and what follows, is the table
of outcomes in docs/design.md.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from typing import Final

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_exponential
from tenacity.stop import stop_base

from streamproc.clock import Clock
from streamproc.errors import DeadlineExceeded, Invalid, QuorumNotMet, WorkerFault
from streamproc.messages.cloudevents import Envelope, Form
from streamproc.messages.problems import to_problem
from streamproc.messages.publishing import Publish, ResponsePublisher, Route
from streamproc.messages.record import Record
from streamproc.messages.request import InvalidRequest, Request, read_request
from streamproc.messages.response import Problem, Response, Timing
from streamproc.messages.unknown_fields import warnings_about
from streamproc.metrics import Metrics
from streamproc.serving.engine import Engine, Engines
from streamproc.serving.fairness import FairTurns
from streamproc.serving.retrying import Tries

LOG_FAULTS_EVERY_S: Final = 10.0

log = structlog.get_logger(__name__)


class Pipeline:
    """Answers the requests of one topic; many at a time."""

    def __init__(
        self,
        route: Route,
        engines: Engines,
        publish: Publish,
        *,
        clock: Clock,
        metrics: Metrics,
        stop_after: stop_base,
    ) -> None:
        """stop_after: when to stop trying what the worker itself is at fault for."""
        self.route = route
        self._engines = engines
        self._publisher = ResponsePublisher(route, publish, clock)
        self._clock = clock
        self._metrics = metrics
        self._stop_after = stop_after
        self._turns = FairTurns()
        self._log_fault_at_s, self._unlogged_faults = 0.0, 0
        # Looked up once: finding a metric by its labels costs more than counting.
        lane = route.lane.name.lower()
        self._seconds = metrics.request_seconds.labels(route.task, lane)
        self._age = metrics.request_age_seconds.labels(route.task, lane)
        self._decode_s = metrics.stage_seconds.labels("decode")
        self._publish_s = metrics.stage_seconds.labels("publish")

    async def __call__(self, record: Record) -> None:
        """The whole way of one request; returns once its response is stored."""
        async with self._turns.turn(self.route.lane):
            started_s = self._clock.monotonic_s()
            # Clocks differ: what was sent a moment ago may seem to come from the future.
            age_ms = max(0, self._clock.now_ms() - record.timestamp_ms)
            self._age.observe(age_ms / 1000)
            request = read_request(record, self.route.max_message_bytes)
        self._decode_s.inc(self._clock.monotonic_s() - started_s)
        response = await self.answer(record, request, age_ms)
        answered_s = self._clock.monotonic_s()
        fault = await self._publisher.publish(record, request, response)
        self._publish_s.inc(self._clock.monotonic_s() - answered_s)
        self._count(response, fault, started_s)

    async def refuse(self, record: Record, title: str, detail: str) -> None:
        """Give up on a record that can't be handled: `error` `failed`, and a dead letter.

        title, detail: why; nothing that the record holds
        """
        started_s = self._clock.monotonic_s()
        try:
            request = read_request(record, self.route.max_message_bytes)
        except Exception:  # noqa: BLE001 - reading it may be what can't be done
            unread = Invalid(title, detail)
            request = InvalidRequest(unread, None, None, Envelope(Form.PLAIN))
        fault, response = Problem("failed", title, detail), None
        request_id = request.request_id if isinstance(request, InvalidRequest) else request.id
        if request_id is not None:
            response = self._error(request_id, fault, request.metadata)
        await self._publisher.refuse(record, request, fault, response)
        self._count(response, fault, started_s)

    async def answer(
        self, record: Record, request: Request | InvalidRequest, age_ms: float | None = None
    ) -> Response | None:
        """The response to a request; None when nobody can be told, as no id could be read.

        age_ms: how long its record lay in Kafka, where it came from there
        Raises WorkerFault once `stop_after` says so.
        """
        if isinstance(request, InvalidRequest):
            if request.request_id is None:
                return None
            return self._error(request.request_id, to_problem(request.reason), request.metadata)
        warnings: tuple[str, ...] = ()
        try:
            self.route.responses_topic(record)
            engine = self._engines.named(request.ensemble or self.route.ensemble)
            known = engine.task.inputs.model_fields, engine.task.params.model_fields
            warnings = warnings_about(request, *known)
            async with self._deadline(request):
                response = await self._score_until_able(engine, request)
            if age_ms is not None and response.timing is not None:
                timing = replace(response.timing, age_ms=age_ms)
                response = replace(response, timing=timing)
        except TimeoutError:
            late = DeadlineExceeded("deadline passed", "no answer was ready in time")
            response = self._error(request.id, to_problem(late), request.metadata)
        except (Invalid, QuorumNotMet) as reason:
            response = self._error(request.id, to_problem(reason), request.metadata)
        return replace(response, warnings=warnings) if warnings else response

    async def _score_until_able(self, engine: Engine, request: Request) -> Response:
        """`_score`, tried again while the worker itself is at fault, until `stop_after` says so."""
        # Setting up the retries takes a tenth of what a request costs beside its models, so that
        # is done once something has failed; that first attempt counts.
        recoveries = engine.health.recoveries
        try:
            return await self._score(engine, request)
        except (WorkerFault, QuorumNotMet) as fault:
            first = fault
        tries = Tries(engine.health, recoveries)
        async for attempt in self._attempts(tries):
            with attempt:
                if attempt.retry_state.attempt_number == 1:
                    raise first
                tries.begin()
                return await self._score(engine, request, alone=tries.alone)
        raise AssertionError("unreachable: every attempt returns or raises")

    async def _score(self, engine: Engine, request: Request, *, alone: bool = False) -> Response:
        """chunk → encode → queue → batch → fan out → combine → stitch"""
        started_s = self._clock.monotonic_s()
        job = engine.task.begin(request.inputs, request.params, engine.profile)
        answered = await engine.answer(job, self.route.lane, alone=alone)
        answer = answered.result
        complete = all(member.status == "ok" for member in answer.members)
        total_ms = (self._clock.monotonic_s() - started_s) * 1000
        return Response(
            id=request.id,
            task=self.route.task,
            status="ok" if complete else "partial",
            ensemble=engine.profile.name,
            manifest=engine.profile.digest,
            result=answer.result,
            members=answer.members,
            agreement=answer.agreement,
            entropy=answer.entropy,
            coverage=answer.coverage,
            timing=Timing(
                round(answered.queue_ms, 3), round(answered.run_ms, 3), round(total_ms, 3)
            ),
            metadata=request.metadata,
        )

    def _deadline(self, request: Request) -> AbstractAsyncContextManager[object]:
        if request.deadline_at_ms is None:
            return nullcontext()
        return asyncio.timeout((request.deadline_at_ms - self._clock.now_ms()) / 1000)

    def _attempts(self, tries: Tries) -> AsyncRetrying:
        return AsyncRetrying(
            retry=retry_if_exception(tries.is_worth_another),
            wait=wait_exponential(multiplier=0.1, max=10),
            stop=self._stop_after,
            sleep=self._clock.sleep,
            before_sleep=self._note_retry,
            reraise=True,
        )

    def _note_retry(self, state: RetryCallState) -> None:
        self._metrics.retries.labels(self.route.task).inc()
        reason = state.outcome.exception() if state.outcome else None
        # Every request in flight meets the same fault, again and again; a line for each would
        # bury the rest of the log.
        self._unlogged_faults += 1
        now_s = self._clock.monotonic_s()
        if now_s >= self._log_fault_at_s:
            log.error("worker fault", reason=str(reason), occurrences=self._unlogged_faults)
            self._log_fault_at_s, self._unlogged_faults = now_s + LOG_FAULTS_EVERY_S, 0

    def _error(self, request_id: str, fault: Problem, metadata: bytes | None) -> Response:
        return Response(request_id, self.route.task, "error", error=fault, metadata=metadata)

    def _count(self, response: Response | None, fault: Problem | None, started_s: float) -> None:
        if fault is not None:
            self._metrics.dead_letters.labels(self.route.task, fault.type).inc()
        lane = self.route.lane.name.lower()
        status = "unreadable" if response is None else response.status
        self._metrics.requests.labels(self.route.task, lane, status).inc()
        self._seconds.observe(self._clock.monotonic_s() - started_s)
