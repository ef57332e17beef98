"""What the decoding loop is tested with: members that can be told to fail, prompts, submissions."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np

from streamproc.clock import Clock, SystemClock, Timed
from streamproc.messages.lane import Lane
from streamproc.metrics import Metrics
from streamproc.serving.decoding.decoding_metrics import DecodingMetrics
from streamproc.serving.decoding.kv_cache_budget import KVCacheLimits
from streamproc.serving.decoding.loop import DecodingLoop
from streamproc.serving.decoding.member import Member
from streamproc.serving.decoding.prompt import Outcome, Prompt
from streamproc.serving.decoding.sampling import TokenSampler
from streamproc.serving.decoding.sampling_search import SamplingSearch
from streamproc.serving.decoding.search import StepScores
from streamproc.serving.ensembling.steps import combine_step
from streamproc.serving.inference.executor import ModelExecutor
from streamproc.serving.member_health import MemberHealth
from streamproc.testing.generative import Histories, ScriptedStepModel
from streamproc.tracing.tracer import NO_ENSEMBLE_TRACER, EnsembleTracer
from streamproc.types import FloatArray, Int64Array

ENSEMBLE = "tiny"
VOCABULARY = 50
MEMBERS = 8
CANARY, POISON = 1, 49


def evidence(written: Int64Array) -> FloatArray:
    return np.ones((MEMBERS, len(written)))


def combine(logits: FloatArray, _: FloatArray, answered: Sequence[int]) -> StepScores:
    step = combine_step("mean", logits, np.ones(len(answered)))
    return StepScores(step.log_probabilities, step.entropy, step.agreement, step.log_normaliser)


def prompt(
    *ids: int,
    new: int = 5,
    members: int = 1,
    needed: int | None = None,
    choice: Callable[[], TokenSampler] = TokenSampler,
) -> Prompt:
    """A prompt that is continued greedily by so many tokens."""
    tokens = np.array(ids, np.int64)

    def search() -> SamplingSearch:
        return SamplingSearch(
            tokens,
            choice(),
            max_new_tokens=new,
            end_tokens=(),
        )

    return Prompt(
        tokens,
        search,
        evidence,
        combine,
        max_new_tokens=new,
        members=tuple(range(members)),
        needed_members=members if needed is None else needed,
    )


class Recorder:
    """What `before` is given to: notes the first tokens of each call's rows, then does as told."""

    def __init__(self, then: Callable[[Histories], None] = lambda _: None) -> None:
        self.calls: list[list[int]] = []
        self.then = then

    def __call__(self, rows: Histories) -> None:
        self.calls.append([row[0] for row in rows])
        self.then(rows)


class Gate:
    """Lets calls through once it is opened; a call that comes before waits."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._open = threading.Event()

    def __call__(self, _: Histories) -> None:
        self.reached.set()
        assert self._open.wait(20)

    def open(self) -> None:
        self._open.set()


def model(name: str = "a", before: Callable[[Histories], None] | None = None) -> ScriptedStepModel:
    """A member of the small vocabulary."""
    return ScriptedStepModel(name, VOCABULARY, before)


@asynccontextmanager
async def decoding(
    *models: ScriptedStepModel,
    limits: KVCacheLimits | None = None,
    call_timeout_s: float = 30.0,
    threads: int = 3,
    join_every: int = 1,
    metrics: Metrics | None = None,
    clock: Clock | None = None,
    traces: EnsembleTracer = NO_ENSEMBLE_TRACER,
) -> AsyncIterator[DecodingLoop]:
    """A loop over these members; closed at the end, so that nothing may hang."""
    executor, metrics = ModelExecutor(threads), metrics or Metrics()
    names = [model.name for model in models]
    health = MemberHealth(ENSEMBLE, names, 1, clock or SystemClock())
    members: list[Member[Any]] = [
        Member(
            model,
            executor,
            call_timeout_s=call_timeout_s,
            canary=np.array([CANARY], np.int64),
            metrics=metrics,
            health=health,
            traces=traces,
        )
        for model in models
    ]
    loop = DecodingLoop(
        members,
        limits or KVCacheLimits(),
        clock or SystemClock(),
        DecodingMetrics(metrics, ENSEMBLE),
        traces,
        join_every=join_every,
    )
    try:
        yield loop
        await asyncio.wait_for(loop.close(), 20)
    finally:
        executor.close()


def submitted(
    loop: DecodingLoop, item: Prompt, lane: Lane = Lane.INTERACTIVE
) -> asyncio.Task[Timed[Outcome]]:
    return asyncio.create_task(loop.submit(item, len(item), lane))


async def outcomes(loop: DecodingLoop, *items: Prompt) -> list[Outcome]:
    """What becomes of prompts submitted at once."""
    timed = await asyncio.gather(*(submitted(loop, item) for item in items))
    return [one.result for one in timed]


def written(outcome: Outcome) -> list[int]:
    assert outcome.decoded is not None
    return list(outcome.decoded.tokens.tolist())
