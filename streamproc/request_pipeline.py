"""The way of a request, from the record it came in to the record that answers it.

consume → decode → chunk → encode → queue → batch →
    fan out → combine → stitch → publish → acknowledge

Consuming and acknowledging are the caller's (`kafka/`): a record may be acknowledged once
`Pipeline.__call__` has returned, and not before. Where a request asks for it, parts of a text are
published while it is written; the record that answers it comes behind the last of them. What may go
wrong, and what follows, is the table of outcomes in docs/design.md.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext

from prometheus_client import Counter
from tenacity.stop import stop_base

from streamproc.clock import Clock
from streamproc.errors import Cancelled, Invalid
from streamproc.messages.cloudevents import Envelope, Form
from streamproc.messages.dead_letter_bound import DeadLetterBound
from streamproc.messages.parts import HandOver
from streamproc.messages.problems import to_problem
from streamproc.messages.publishing import Publish, ReplyRoute, ResponsePublisher
from streamproc.messages.record import Record
from streamproc.messages.request import InvalidRequest, Request, read_request
from streamproc.messages.response import Problem, Response
from streamproc.metrics import Metrics
from streamproc.panics import panics_as_exceptions
from streamproc.serving.answer_cache import AnswerCache
from streamproc.serving.answerer import Answerer
from streamproc.serving.cancellation import Cancels
from streamproc.serving.engine import Engines
from streamproc.serving.fairness import FairTurns
from streamproc.serving.profiles import FULL, TopicProfile
from streamproc.serving.traffic_split import TrafficSplit
from streamproc.tracing.tracer import NO_TRACER, Tracer


class Pipeline:
    """Answers the requests of one topic; many at a time."""

    def __init__(
        self,
        route: ReplyRoute,
        engines: Engines,
        publish: Publish,
        *,
        clock: Clock,
        metrics: Metrics,
        stop_after: stop_base,
        hand_over: HandOver | None = None,
        tracer: Tracer = NO_TRACER,
        cache: AnswerCache | None = None,
        profile: TopicProfile = FULL,
        split: TrafficSplit | None = None,
        cancels: Cancels | None = None,
        bound: DeadLetterBound | None = None,
    ) -> None:
        """stop_after: when to stop trying what the worker itself is at fault for
        hand_over: what parts of answers go by; None: none are published
        cache: where answers are kept for requests that ask the same; None: nowhere
        profile: which members are asked
        split: the experiments that requests may be in; None: in none
        cancels: the requests that nobody waits for any more; None: that is told by nobody
        bound: of requests that fail though they are good; None: there is none
        """
        self.route = route
        self._answerer = Answerer(
            route.task,
            engines,
            default_ensemble=route.ensemble,
            lane=route.lane,
            clock=clock,
            metrics=metrics,
            stop_after=stop_after,
            cache=cache,
            profile=profile,
            split=split,
            bound=bound,
        )
        self._publisher = ResponsePublisher(route, publish, clock, hand_over, self._count_part)
        self._clock = clock
        self._cancels = cancels
        self.metrics = metrics
        self._tracer = tracer
        self._turns = FairTurns()
        # Looked up once: finding a metric by its labels costs more than counting.
        lane = route.lane.name.lower()
        self._seconds = metrics.request_seconds.labels(route.task, lane)
        self._age = metrics.request_age_seconds.labels(route.task, lane)
        self._requests: dict[str, Counter] = {}
        # There from the start, so that a rate has something to start from.
        self._cancelled = {
            stage: metrics.cancelled.labels(route.task, lane, stage)
            for stage in ("before", "under-way")
        }
        self._decode_s = metrics.stage_seconds.labels("decode")
        self._publish_s = metrics.stage_seconds.labels("publish")

    async def __call__(self, record: Record) -> None:
        """The whole way of one request; returns once its response is stored."""
        await self._turns.turn(self.route.lane)
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
            with panics_as_exceptions():
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
        Raises WorkerFault once `stop_after` says so, TooManyFailed once `bound` does.
        """
        if isinstance(request, InvalidRequest):
            if request.request_id is None:
                return None
            return self._error(request.request_id, to_problem(request.reason), request.metadata)
        try:
            parts = self._publisher.parts(record, request)
            async with self._until_cancelled(record), parts as shown:
                return await self._answerer.answer(request, shown, age_ms)
        except Invalid as reason:
            if isinstance(reason, Cancelled):
                self._cancelled["under-way" if reason.is_begun else "before"].inc()
            return self._error(request.id, to_problem(reason), request.metadata)

    def _until_cancelled(self, record: Record) -> AbstractAsyncContextManager[None]:
        """What a request is answered in; raises Cancelled once nobody waits for it any more."""
        return nullcontext() if self._cancels is None else self._cancels.cancellable(record)

    def _error(self, request_id: str, fault: Problem, metadata: bytes | None) -> Response:
        return Response(request_id, self.route.task, "error", error=fault, metadata=metadata)

    def _count_part(self, is_stored: bool) -> None:
        self.metrics.parts.labels(self.route.task, "yes" if is_stored else "no").inc()

    def _count(self, response: Response | None, fault: Problem | None, started_s: float) -> None:
        if fault is not None:
            self.metrics.dead_letters.labels(self.route.task, fault.type).inc()
        lane = self.route.lane.name.lower()
        status: str = "unreadable" if response is None else response.status
        problem = fault if response is None else response.error
        if problem is not None and problem.type == "cancelled":
            # Its sender's doing and nobody's failure, so that no share of errors has it.
            status, problem = "cancelled", None
        if status not in self._requests:
            self._requests[status] = self.metrics.requests.labels(self.route.task, lane, status)
        self._requests[status].inc()
        if problem is not None:
            self.metrics.errors.labels(self.route.task, lane, problem.type).inc()
        self._tracer.outcome(status, None if problem is None else problem.type)
        self._seconds.observe(self._clock.monotonic_s() - started_s, self._tracer.exemplar())
