"""One request's answer by the ensembles of its task, tried again where the worker is at fault."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Final

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_exponential
from tenacity.stop import stop_base

from streamproc.clock import Clock, Timed
from streamproc.errors import DeadlineExceeded, Invalid, MembersLate, QuorumNotMet, WorkerFault
from streamproc.messages.dead_letter_bound import DeadLetterBound
from streamproc.messages.lane import Lane
from streamproc.messages.parts import PartPublisher
from streamproc.messages.problems import to_problem
from streamproc.messages.request import Request
from streamproc.messages.request_warnings import warnings_about
from streamproc.messages.response import Response, Timing
from streamproc.metrics import Metrics
from streamproc.serving.answer_cache import AnswerCache
from streamproc.serving.disagreements import Choices, Disagreement
from streamproc.serving.engine import Engine, Engines
from streamproc.serving.profiles import FULL, TopicProfile
from streamproc.serving.retrying import Tries
from streamproc.serving.tasks.decoding_task import DecodingTask
from streamproc.serving.tasks.task import Answer, AnyJob, Task
from streamproc.serving.traffic_split import TrafficSplit

LOG_FAULTS_EVERY_S: Final = 10.0
# Below this, digesting a text takes less time than handing it to a thread would.
_INLINE_CHARACTERS: Final = 65_536

log = structlog.get_logger(__name__)


class _TakenOver(Exception):
    """Another engine answers for the ensemble by now."""


class Answerer:
    """Answers the requests of one task on one lane, whichever way they came in."""

    def __init__(
        self,
        task: str,
        engines: Engines,
        *,
        default_ensemble: str,
        lane: Lane,
        clock: Clock,
        metrics: Metrics,
        stop_after: stop_base,
        cache: AnswerCache | None = None,
        profile: TopicProfile = FULL,
        split: TrafficSplit | None = None,
        bound: DeadLetterBound | None = None,
    ) -> None:
        """default_ensemble: answers a request that names none
        stop_after: when to stop trying what the worker itself is at fault for
        cache: where answers are kept; None: nowhere
        profile: which members are asked
        split: the experiments that requests may be in; None: in none
        bound: of requests that fail though they are good; None: there is none
        """
        self._task = task
        self._engines = engines
        self._default_ensemble = default_ensemble
        self._lane = lane
        self._clock = clock
        self._metrics = metrics
        self._stop_after = stop_after
        self._cache = cache
        self._profile = profile
        self._split = split
        self._bound = bound
        self._log_fault_at_s, self._unlogged_faults = 0.0, 0

    def digest(self, ensemble: str) -> str:
        """Of the manifest that an ensemble answers under; raises Invalid when there is none."""
        return self._engines.named(ensemble).spec.digest

    def count_tokens(self, ensemble: str, text: str) -> int:
        """How many tokens a text has for an ensemble, special tokens not counted."""
        tokenizer = self._engines.named(ensemble).spec.tokenizer
        return sum(len(tokens) for tokens in tokenizer.stream(text))

    async def answer(
        self,
        request: Request,
        parts: PartPublisher | None = None,
        age_ms: float | None = None,
    ) -> Response:
        """The response, whose `error` says why there is no answer.

        parts: takes the text as it is written, where the request asks for that
        age_ms: how long its record lay in Kafka, where it came from there

        Raises WorkerFault once `stop_after` says so, TooManyFailed once `bound` does.
        """
        started_s = self._clock.monotonic_s()
        warnings: tuple[str, ...] = ()
        name = request.ensemble or self._default_ensemble
        assigned = None if self._split is None else self._split.assign(request, name)
        try:
            engine = assigned.engine if assigned else self._engines.named(name)
            known = engine.task.input_names, engine.task.param_names
            warnings = warnings_about(request, *known, are_parts_taken=parts is not None)
            async with self._deadline(request):
                engine, answered = await self._answered(engine, name, request, parts)
            total_ms = (self._clock.monotonic_s() - started_s) * 1000
            response = self._response(engine, request, answered, total_ms, age_ms)
        except TimeoutError:
            late = DeadlineExceeded("deadline passed", "no answer was ready in time")
            response = self._error(request, late)
        except (Invalid, QuorumNotMet) as reason:
            if self._bound is not None and isinstance(reason, MembersLate):
                self._bound.failed("late")
            response = self._error(request, reason)
        else:
            if self._bound is not None:
                self._bound.answered()
        if assigned is not None and self._split is not None:
            total_ms = (self._clock.monotonic_s() - started_s) * 1000
            response = self._split.note(assigned, request, response, total_ms)
        return replace(response, warnings=warnings) if warnings else response

    async def _answered(
        self, engine: Engine, name: str, request: Request, parts: PartPublisher | None
    ) -> tuple[Engine, Timed[Answer]]:
        """The answer and the engine that gave it: another than at first where one took over from
        an engine that was not able to.

        name: of the ensemble that was asked, which an arm of an experiment need not be
        """
        while True:
            try:
                return engine, await self._find_or_score(engine, name, request, parts)
            except _TakenOver:
                engine = self._engines.named(name)

    async def _find_or_score(
        self, engine: Engine, name: str, request: Request, parts: PartPublisher | None
    ) -> Timed[Answer]:
        """The answer that is kept for such a request, or comes of an equal one, or of models."""
        # Before the key is made: only what is valid has one.
        job = _begun(engine, request)
        if request.deadline_at_ms is not None and request.deadline_at_ms <= self._clock.now_ms():
            # Nobody waits any more: no text is cut into chunks, and nothing at hand is looked up.
            raise TimeoutError
        score = partial(self._score_until_able, engine, name, request, job, parts)
        cache = self._cache
        if cache is None:
            return await score()
        key = await self._key(cache, engine, request, job.characters) if job.is_repeatable else None
        if key is None:
            return (await cache.pass_by(score)).answered
        is_shown = parts is not None and job.wants_parts
        found = await cache.answer(key, self._lane, score, joins=not is_shown, ensemble=name)
        if parts is not None and is_shown and not found.is_own:
            _show_whole(engine.task, found.answered.result, parts)
        return found.answered

    async def _score_until_able(
        self,
        engine: Engine,
        name: str,
        request: Request,
        job: AnyJob,
        parts: PartPublisher | None,
    ) -> Timed[Answer]:
        """`_score`, tried again while the worker itself is at fault, until `stop_after` says so.

        job: for the first attempt; it has taken outputs then, so that others begin their own
        """
        # Setting up the retries takes a tenth of what a request costs beside its models, so that
        # is done once something has failed; that first attempt counts.
        recoveries = engine.health.recoveries
        try:
            return await self._score(engine, job, parts)
        except (WorkerFault, QuorumNotMet) as fault:
            first = fault
        tries = Tries(engine.health, recoveries)
        async for attempt in self._attempts(tries):
            with attempt:
                if attempt.retry_state.attempt_number == 1:
                    raise first
                # A version that took over meanwhile may be able where this one is not, as may the
                # ensemble that was asked where this is an arm. Its answer has another manifest, so
                # that it may not pass, or be kept, for this one's.
                if self._engines.named(name) is not engine:
                    raise _TakenOver
                tries.begin()
                return await self._score(engine, _begun(engine, request), parts, alone=tries.alone)
        raise AssertionError("unreachable: every attempt returns or raises")

    async def _score(
        self, engine: Engine, job: AnyJob, parts: PartPublisher | None, *, alone: bool = False
    ) -> Timed[Answer]:
        """chunk → encode → queue → batch → fan out → combine → stitch"""
        if parts is not None and job.wants_parts:
            job.show = parts.begin()
        policy = self._profile.policy(engine.task, engine.spec)
        return await engine.answer(job, self._lane, alone=alone, policy=policy)

    def _response(
        self,
        engine: Engine,
        request: Request,
        answered: Timed[Answer],
        total_ms: float,
        age_ms: float | None,
    ) -> Response:
        answer = answered.result
        if answer.choices is not None:
            engine.disagreements.note(self._disagreement(request, answer, answer.choices))
        return Response(
            id=request.id,
            task=self._task,
            status="ok" if answer.is_complete else "partial",
            ensemble=engine.spec.name,
            manifest=engine.spec.digest,
            result=answer.result,
            members=answer.members,
            agreement=answer.agreement,
            entropy=answer.entropy,
            coverage=answer.coverage,
            profile=answer.profile,
            timing=Timing(
                round(answered.queue_ms, 3), round(answered.run_ms, 3), round(total_ms, 3), age_ms
            ),
            usage=answer.usage,
            metadata=request.metadata,
        )

    def _disagreement(self, request: Request, answer: Answer, choices: Choices) -> Disagreement:
        return Disagreement(
            self._clock.now_ms(), request.id, request.position, answer.agreement or 0.0, choices
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
        self._metrics.retries.labels(self._task).inc()
        reason = state.outcome.exception() if state.outcome else None
        # Every request in flight meets the same fault, again and again; a line for each would
        # bury the rest of the log.
        self._unlogged_faults += 1
        now_s = self._clock.monotonic_s()
        if now_s >= self._log_fault_at_s:
            log.error("worker fault", reason=str(reason), occurrences=self._unlogged_faults)
            self._log_fault_at_s, self._unlogged_faults = now_s + LOG_FAULTS_EVERY_S, 0

    async def _key(
        self, cache: AnswerCache, engine: Engine, request: Request, characters: int
    ) -> bytes | None:
        if characters <= _INLINE_CHARACTERS:
            return cache.key(engine, request, self._profile.name)
        return await asyncio.to_thread(cache.key, engine, request, self._profile.name)

    def _error(self, request: Request, reason: Invalid | QuorumNotMet) -> Response:
        problem = to_problem(reason)
        return Response(request.id, self._task, "error", error=problem, metadata=request.metadata)


def _begun(engine: Engine, request: Request) -> AnyJob:
    return engine.task.begin(request.inputs, request.params, engine.spec)


def _show_whole(task: Task, answer: Answer, parts: PartPublisher) -> None:
    """Publish the text of an answer that was written before, as one part."""
    if isinstance(task, DecodingTask) and (text := answer.result[task.text_field]):
        parts.begin()(text)
