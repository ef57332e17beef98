"""One member's calls: sequences started, and stepped together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from operator import eq
from typing import Any, Generic, TypeVar

import numpy as np

from streamproc.errors import MemberFailed
from streamproc.metrics import Metrics
from streamproc.serving.decoding.model import ReadsOn, RowsT, StepModel
from streamproc.serving.guarded_calls import Call, Executor, GuardedCalls
from streamproc.serving.member_failures import FailureCounter, MemberFailure
from streamproc.serving.member_health import MemberHealth
from streamproc.serving.member_runner import MemberRunner
from streamproc.tracing.tracer import NO_ENSEMBLE_TRACER, EnsembleTracer
from streamproc.types import FloatArray, Int64Array

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class PromptPiece(Generic[RowsT]):
    """Some of a sequence's input, (tokens,), and what came of all before it, if there was any."""

    ids: Int64Array
    rows: RowsT | None = None


@dataclass(frozen=True, slots=True)
class RowSlice(Generic[RowsT]):
    """A sequence about to be stepped: its rows, and which of them goes on with which token.

    parents, tokens: (next rows,)
    """

    rows: RowsT
    parents: Int64Array
    tokens: Int64Array


@dataclass(frozen=True, slots=True)
class StepOutput(Generic[RowsT]):
    """What came of a step for one sequence; logits: (rows, vocabulary)."""

    logits: FloatArray
    rows: RowsT


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


class StartRunner(_ModelRunner[PromptPiece[RowsT], RowsT]):
    """Reads the inputs of sequences, one piece after another."""

    def call(self, items: Sequence[PromptPiece[RowsT]], call: Call) -> list[StepOutput[RowsT]]:
        started = []
        for item in items:
            if item.rows is not None and isinstance(self._model, ReadsOn):
                logits, rows = self._model.read_on(item.rows, item.ids, call)
            else:
                logits, rows = self._model.start(item.ids, call)
            started.append(StepOutput(logits[None], rows))
            if item.rows is None and not self.is_canary(item):
                self._canary, self.canary_is_proven = item.ids, True
        return started

    def is_canary(self, item: PromptPiece[RowsT]) -> bool:
        return item.rows is None and np.array_equal(item.ids, self._own_ids)

    def call_canary(self, call: Call) -> None:
        self._model.start(self._canary, call)

    def size(self, items: Sequence[PromptPiece[RowsT]]) -> int:
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
            own = self._of(rows, range(first, end))
            stepped.append(StepOutput(logits[first:end], own))
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
        parts = [self._of(item.rows, item.parents.tolist()) for item in items]
        return parts[0] if len(parts) == 1 else self._model.join(parts)

    def _of(self, rows: RowsT, indices: Sequence[int]) -> RowsT:
        if len(indices) == len(rows) and all(map(eq, indices, count())):
            return rows
        return self._model.select(rows, indices)


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
        self._piece_tokens = model.piece_tokens if isinstance(model, ReadsOn) else None
        took = metrics.member_seconds.labels(health.ensemble, model.name).inc
        calls = GuardedCalls(model.name, executor, call_timeout_s, health, took)
        failures = FailureCounter(metrics, health.ensemble, [model.name])
        self._starts = StartRunner(model, calls, canary, failures, traces)
        self._steps = StepRunner(model, calls, canary, failures, traces)

    async def start(self, ids: Int64Array, priority: int) -> StepOutput[RowsT] | MemberFailure:
        """The first step of one sequence, or why this member has no part in it.

        A long input is read in pieces, a call each, so that steps of others come in between.
        """
        piece: PromptPiece[RowsT] = PromptPiece(ids[: self._piece_tokens])
        while True:
            (started,) = await self._starts.run([piece], priority)
            ids = ids[len(piece.ids) :]
            if isinstance(started, MemberFailure) or not len(ids):
                return started
            piece = PromptPiece(ids[: self._piece_tokens], started.rows)

    async def step(
        self, sequences: Sequence[RowSlice[RowsT]], priority: int
    ) -> list[StepOutput[RowsT] | MemberFailure]:
        """The next step of each sequence, or why this member has no further part in it."""
        return await self._steps.run(sequences, priority)


AnyMember = Member[Any]
"""What each member remembers of its rows is its own; the loop hands it back unread."""
