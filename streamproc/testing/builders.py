"""Ensembles, pipelines and records for tests, each with defaults for what a test does not say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from tenacity import stop_after_attempt, stop_never

from streamproc.clock import Clock, SystemClock
from streamproc.messages.dead_letter_bound import DeadLetterBound
from streamproc.messages.lane import Lane
from streamproc.messages.publishing import ReplyRoute
from streamproc.messages.record import Headers, Record
from streamproc.metrics import Metrics
from streamproc.request_pipeline import Pipeline
from streamproc.serving.answer_cache import AnswerCache
from streamproc.serving.assembly import assemble_engine
from streamproc.serving.batching.batcher import Limits
from streamproc.serving.cancellation import Cancels
from streamproc.serving.chunking.windows import Window
from streamproc.serving.context import EngineContext
from streamproc.serving.decoding.kv_cache_budget import KVCacheLimits
from streamproc.serving.engine import Engine, Engines
from streamproc.serving.ensembling.heads import HEADS
from streamproc.serving.ensembling.labels import LabelMap
from streamproc.serving.inference.executor import ModelExecutor
from streamproc.serving.inference.members import Members
from streamproc.serving.inference.session import Session
from streamproc.serving.profiles import FULL, TopicProfile
from streamproc.serving.tasks.catalogue import scoring_task_named
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec, MemberSpec
from streamproc.testing.memory_broker import MemoryBroker
from streamproc.testing.sessions import ScriptedSession
from streamproc.testing.tokenizers import build_tokenizer
from streamproc.tracing.tracer import NO_TRACER, Tracer
from streamproc.types import FloatArray, ProblemType, Strategy


def build_spec(
    members: Sequence[str] = ("a", "b", "c"),
    *,
    labels: Sequence[str] = ("negative", "positive"),
    member_labels: Mapping[str, Sequence[str]] | None = None,
    strategy: Strategy = "mean",
    quorum: int | None = None,
    max_tokens: int = 16,
    overlap_tokens: int = 4,
    problem_type: ProblemType = "single_label_classification",
) -> EnsembleSpec:
    """An ensemble called "tiny"; labels: none for a task without."""
    known = member_labels or {}
    return EnsembleSpec(
        name="tiny",
        digest="0" * 64,
        labels=tuple(labels),
        members=tuple(
            MemberSpec(
                name,
                "1",
                1.0,
                LabelMap.between(
                    name, known.get(name, labels), labels, least=HEADS[problem_type].least_labels
                )
                if labels
                else LabelMap.none(),
            )
            for name in members
        ),
        strategy=strategy,
        needed_members=len(members) if quorum is None else quorum,
        tokenizer=build_tokenizer(),
        window=Window(max_tokens, overlap_tokens),
        problem_type=problem_type,
    )


def build_context(
    executor: ModelExecutor | None = None,
    *,
    budget_tokens: int = 64,
    call_timeout_s: float = 30.0,
    max_document_chunks: int = 4,
    clock: Clock | None = None,
    kv_cache: KVCacheLimits | None = None,
    tracer: Tracer = NO_TRACER,
) -> EngineContext:
    """What engines share, with bounds that tests reach."""
    return EngineContext(
        executor or ModelExecutor(2),
        Limits(budget_tokens, slots=2, max_wait_ms=0, max_queued_tokens=4096),
        call_timeout_s=call_timeout_s,
        max_document_chunks=max_document_chunks,
        clock=clock or SystemClock(),
        metrics=Metrics(),
        kv_cache=kv_cache or KVCacheLimits(),
        tracer=tracer,
    )


def build_engine(
    spec: EnsembleSpec | None = None,
    sessions: Sequence[Session[FloatArray]] | None = None,
    *,
    task: str = "text-classification",
    budget_tokens: int = 64,
    call_timeout_s: float = 30.0,
    max_document_chunks: int = 4,
    executor: ModelExecutor | None = None,
    clock: Clock | None = None,
    tracer: Tracer = NO_TRACER,
) -> Engine:
    """An engine of scripted members, unless others are given."""
    spec = spec or build_spec()
    scoring = scoring_task_named(task)
    return assemble_engine(
        scoring,
        spec,
        Members(
            sessions
            or [
                ScriptedSession(
                    member.name,
                    member.labels.outputs or len(scoring.signature(0).outputs),
                    per_token=scoring.signature(member.labels.outputs).per_token,
                )
                for member in spec.members
            ]
        ),
        build_context(
            executor,
            budget_tokens=budget_tokens,
            call_timeout_s=call_timeout_s,
            max_document_chunks=max_document_chunks,
            clock=clock,
            tracer=tracer,
        ),
    )


def build_route(
    lane: Lane = Lane.INTERACTIVE,
    *,
    task: str = "text-classification",
    max_message_bytes: int = 1_048_576,
    reply_topics: Sequence[str] = (),
) -> ReplyRoute:
    """A route of a task to the ensemble "tiny"."""
    return ReplyRoute(
        task=task,
        lane=lane,
        ensemble="tiny",
        responses="responses",
        dead_letters="dlq",
        reply_topics=frozenset(reply_topics),
        max_message_bytes=max_message_bytes,
    )


def build_pipeline(
    broker: MemoryBroker,
    engine: Engine | None = None,
    *,
    route: ReplyRoute | None = None,
    clock: Clock | None = None,
    attempts: int = 3,
    cache: AnswerCache | None = None,
    profile: TopicProfile = FULL,
    cancels: Cancels | None = None,
    bound: DeadLetterBound | None = None,
) -> Pipeline:
    """A pipeline that publishes to `broker`.

    attempts: how often what the worker is at fault for is tried; 0: without end, as a worker does
    cache: where answers are kept; None: nowhere
    profile: which members are asked
    cancels: the requests that nobody waits for any more; None: that is told by nobody
    bound: of requests that fail though they are good; None: there is none
    """
    return Pipeline(
        route or build_route(),
        Engines({"tiny": engine or build_engine()}),
        broker.publish,
        clock=clock or SystemClock(),
        metrics=Metrics(),
        stop_after=stop_after_attempt(attempts) if attempts else stop_never,
        hand_over=broker.hand_over,
        cache=cache,
        profile=profile,
        cancels=cancels,
        bound=bound,
    )


def build_record(
    value: Mapping[str, Any] | bytes | None,
    *,
    offset: int = 0,
    key: bytes | None = b"key",
    headers: Headers = (),
    timestamp_ms: int = 1_700_000_000_000,
) -> Record:
    """A record of the topic "requests"; a mapping becomes JSON."""
    content = orjson.dumps(value) if isinstance(value, Mapping) else value
    return Record("requests", 0, offset, timestamp_ms, key, content, headers)
