"""One member's calls: sequences started, and stepped together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Generic, TypeVar

import numpy as np

from streamproc.errors import MemberFailed
from streamproc.metrics import Metrics
from streamproc.serving.decoding.model import RowsT, StepModel
from streamproc.serving.guarded_calls import Call, Executor, GuardedCalls
from streamproc.serving.member_failures import FailureCounter, MemberFailure
from streamproc.serving.member_health import MemberHealth
from streamproc.serving.member_runner import MemberRunner
from streamproc.tracing.tracer import NO_ENSEMBLE_TRACER, EnsembleTracer
from streamproc.types import FloatArray, Int64Array

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class RowRef(Generic[RowsT]):
    """Where a sequence's rows lie in what a member remembers: the first, and those behind it."""

    cache: RowsT
    first: int


@dataclass(frozen=True, slots=True)
class RowSlice(Generic[RowsT]):
    """A sequence about to be stepped: its rows, and which of them goes on with which token.

    parents, tokens: (next rows,)
    """

    rows: RowRef[RowsT]
    parents: Int64Array
    tokens: Int64Array


@dataclass(frozen=True, slots=True)
class StepOutput(Generic[RowsT]):
    """What came of a step for one sequence; logits: (rows, vocabulary)."""

    logits: FloatArray
    rows: RowRef[RowsT]


class _ModelRunner(MemberRunner[ItemT, StepOutput[RowsT]], Generic[ItemT, RowsT]):
    def __init__(
        self,
        model: StepModel[RowsT],
        calls: GuardedCalls,
        canary: Int64Array,
        failures: FailureCounter,
        traces: EnsembleTracer,
    ) -> None:
        super().__init__(calls, failures, traces)
        self._model = model
        self._canary = canary
        self._own_ids = canary


class StartRunner(_ModelRunner[Int64Array, RowsT]):
    """Starts sequences, one after another."""

    def call(self, items: Sequence[Int64Array], call: Call) -> list[StepOutput[RowsT]]:
        started = []
        for ids in items:
            logits, rows = self._model.start(ids, call)
            started.append(StepOutput(logits[None], RowRef(rows, 0)))
            if not self.is_canary(ids):
                self._canary, self.canary_is_proven = ids, True
        return started

    def is_canary(self, item: Int64Array) -> bool:
        return np.array_equal(item, self._own_ids)

    def call_canary(self, call: Call) -> None:
        self._model.start(self._canary, call)

    def size(self, items: Sequence[Int64Array]) -> int:
        """In sequences."""
        return len(items)


class StepRunner(_ModelRunner[RowSlice[RowsT], RowsT]):
    """Steps many sequences together.

    A prompt that could be started may still be one that can't be stepped: its canary stays.
    """

    def call(self, items: Sequence[RowSlice[RowsT]], call: Call) -> list[StepOutput[RowsT]]:
        tokens = np.concatenate([item.tokens for item in items])
        logits, rows = self._model.step(self._next_rows(items), tokens, call)
        if len(logits) != len(tokens) or len(rows) != len(tokens):
            raise MemberFailed(self.member, f"{len(logits)} rows came back of {len(tokens)}")
        stepped = []
        first = 0
        for item in items:
            end = first + len(item.tokens)
            stepped.append(StepOutput(logits[first:end], RowRef(rows, first)))
            first = end
        return stepped

    def call_canary(self, call: Call) -> None:
        _, rows = self._model.start(self._canary, call)
        self._model.step(rows, self._canary[:1], call)

    def size(self, items: Sequence[RowSlice[RowsT]]) -> int:
        """In rows."""
        return sum(len(item.tokens) for item in items)

    def _next_rows(self, items: Sequence[RowSlice[RowsT]]) -> RowsT:
        """What the rows of the next step come from, in their order."""
        parts = []
        for _, together in groupby(items, key=lambda item: id(item.rows.cache)):
            group = list(together)
            cache = group[0].rows.cache
            wanted = [item.rows.first + int(parent) for item in group for parent in item.parents]
            everything = wanted == list(range(len(cache)))
            parts.append(cache if everything else self._model.select(cache, wanted))
        return parts[0] if len(parts) == 1 else self._model.join(parts)


class Member(Generic[RowsT]):
    """A member of an ensemble that decodes, for all lanes.

    canary: (tokens,) an input known to be good
    health: told how the member does
    """

    def __init__(
        self,
        model: StepModel[RowsT],
        executor: Executor,
        *,
        call_timeout_s: float,
        canary: Int64Array,
        metrics: Metrics,
        health: MemberHealth,
        traces: EnsembleTracer = NO_ENSEMBLE_TRACER,
    ) -> None:
        self.name = model.name
        took = metrics.member_seconds.labels(health.ensemble, model.name).inc
        calls = GuardedCalls(model.name, executor, call_timeout_s, health, took)
        failures = FailureCounter(metrics, health.ensemble, [model.name])
        self._starts = StartRunner(model, calls, canary, failures, traces)
        self._steps = StepRunner(model, calls, canary, failures, traces)

    async def start(self, ids: Int64Array, priority: int) -> StepOutput[RowsT] | MemberFailure:
        """The first step of one sequence, or why this member has no part in it."""
        (started,) = await self._starts.run([ids], priority)
        return started

    async def step(
        self, sequences: Sequence[RowSlice[RowsT]], priority: int
    ) -> list[StepOutput[RowsT] | MemberFailure]:
        """The next step of each sequence, or why this member has no further part in it."""
        return await self._steps.run(sequences, priority)


AnyMember = Member[Any]
"""What each member remembers of its rows is its own; the loop hands it back unread."""
