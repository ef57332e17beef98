"""From an ensemble on disk to one that answers: loaded, tried out, and put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from streamproc.errors import ModelRefused
from streamproc.metrics import Metrics
from streamproc.repository.repository import StoredEnsemble
from streamproc.serving.batching.batch_metrics import BatchMetrics
from streamproc.serving.batching.batcher import Batcher
from streamproc.serving.chunking.windows import Chunk
from streamproc.serving.context import EngineContext
from streamproc.serving.decoding.decoding_metrics import DecodingMetrics
from streamproc.serving.decoding.loop import DecodingLoop
from streamproc.serving.decoding.member import Member
from streamproc.serving.decoding.model import AnyStepModel
from streamproc.serving.engine import Engine
from streamproc.serving.inference.batch import Row
from streamproc.serving.inference.fan_out import FanOut
from streamproc.serving.inference.members import Members
from streamproc.serving.inference.providers import CPU, Provider
from streamproc.serving.loading import load_sessions, load_spec, load_step_models
from streamproc.serving.member_health import MemberHealth
from streamproc.serving.tasks.decoding_task import DecodingTask
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.serving.tasks.task import ScoringTask, Task
from streamproc.serving.verification.batch_invariance import check_members, check_step_models
from streamproc.serving.verification.dummy_inputs import canary_sequence, dummy_window
from streamproc.serving.verification.limited_calls import TIMEOUTS_OF_A_TRIAL, limited_calls

# An encoder-decoder steps only rows of one length together. Measured over 3 + 3 layers of 256 with
# 16 sentences in the works: 2.5 times fewer calls than when each joins as it comes, and what comes
# new waits for eight steps at most, some ten milliseconds.
_JOIN_EVERY: Final = 8


def load_engine(
    stored: StoredEnsemble, task: Task, provider: Provider, context: EngineContext
) -> Engine:
    """The ensemble, loaded and tried out; raises ModelRefused saying what does not fit."""
    spec = _counting(load_spec(stored, task), context.metrics)
    invariant = provider.name == CPU
    limit_s = TIMEOUTS_OF_A_TRIAL * context.call_timeout_s
    if isinstance(task, DecodingTask):
        with limited_calls(f"ensemble {spec.name}", limit_s) as new_call:
            models = load_step_models(stored, task, provider, context.residency, new_call)
            check_step_models(models, task, spec, new_call, invariant=invariant)
        return assemble_decoding_engine(task, spec, models, context)
    if isinstance(task, ScoringTask):
        members = load_sessions(stored, task, provider, context.residency)
        with limited_calls(f"ensemble {spec.name}", limit_s) as new_call:
            check_members(members, task, spec, new_call, invariant=invariant)
        return assemble_engine(task, spec, members, context)
    raise ModelRefused(f"ensemble {spec.name}: {task.name} has no way to run its members")


def assemble_engine(
    task: ScoringTask, spec: EnsembleSpec, members: Members, context: EngineContext
) -> Engine:
    """An engine of a spec and the sessions of its members, in the spec's order."""
    health = _health(spec, [session.name for session in members.sessions], context)
    (canary,) = members.run_backbone([dummy_window(task, spec, words=1)])
    traces = context.tracer.ensemble(spec.name)
    fan_out = FanOut(
        members,
        context.executor,
        call_timeout_s=context.call_timeout_s,
        canary=canary,
        metrics=context.metrics,
        health=health,
        traces=traces,
    )
    batch_metrics = BatchMetrics(context.metrics, spec.name)
    batcher: Batcher[Chunk, Row] = Batcher(
        fan_out.run, context.limits, context.clock, batch_metrics, traces
    )
    return Engine(
        task,
        spec,
        batcher,
        context.max_document_chunks,
        health,
        alone_tokens=context.limits.budget_tokens,
    )


def assemble_decoding_engine(
    task: DecodingTask,
    spec: EnsembleSpec,
    models: Sequence[AnyStepModel],
    context: EngineContext,
) -> Engine:
    """An engine of a spec and the models of its members, in the spec's order.

    Raises ModelRefused where the spec does not say how it decodes, or combines members in a way
    that makes no sense for each step.
    """
    _ = spec.step_strategy, spec.decodes
    health = _health(spec, [model.name for model in models], context)
    traces = context.tracer.ensemble(spec.name)
    canary = canary_sequence(task, spec)
    members = [
        Member(
            model,
            context.executor,
            call_timeout_s=context.call_timeout_s,
            canary=canary,
            metrics=context.metrics,
            health=health,
            traces=traces,
        )
        for model in models
    ]
    loop = DecodingLoop(
        members,
        context.kv_cache,
        context.clock,
        DecodingMetrics(context.metrics, spec.name),
        traces,
        join_every=1 if task.architecture == "decoder" else _JOIN_EVERY,
    )
    return Engine(
        task,
        spec,
        loop,
        context.max_document_chunks,
        health,
        alone_tokens=context.kv_cache.max_tokens,
    )


def _counting(spec: EnsembleSpec, metrics: Metrics) -> EnsembleSpec:
    """The spec of an ensemble whose members' choices are counted."""
    counters = [
        tuple(metrics.member_choices.labels(spec.name, member.name, said) for said in ("yes", "no"))
        for member in spec.members
    ]

    def count(member: int, agreed: int, not_agreed: int) -> None:
        yes, no = counters[member]
        if agreed:
            yes.inc(agreed)
        if not_agreed:
            no.inc(not_agreed)

    return replace(spec, on_choices=count)


def _health(spec: EnsembleSpec, members: Sequence[str], context: EngineContext) -> MemberHealth:
    return MemberHealth(spec.name, members, spec.needed_members, context.clock)
