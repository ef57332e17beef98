"""One member's calls: sequences started, and stepped together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any, Generic

import numpy as np

from streamproc.errors import MemberFailed
from streamproc.serving.bisection import BisectingRunner, Canary, MemberFailure
from streamproc.serving.decoding.model import RowsT, StepModel
from streamproc.serving.guarded_calls import GuardedCalls, Run
from streamproc.serving.member_health import MemberHealth
from streamproc.types import FloatArray, Int64Array


@dataclass(frozen=True, slots=True)
class RowRef(Generic[RowsT]):
    """Where a sequence's rows lie in what a member remembers: the first, and those behind it."""

    rows: RowsT
    first: int


@dataclass(frozen=True, slots=True)
class RowSlice(Generic[RowsT]):
    """A sequence about to be stepped: its rows, and which of them goes on with which token.

    parents, tokens: (next rows,)
    """

    place: RowRef[RowsT]
    parents: Int64Array
    tokens: Int64Array


@dataclass(frozen=True, slots=True)
class StepOutput(Generic[RowsT]):
    """What came of a step for one sequence; logits: (rows, vocabulary)."""

    logits: FloatArray
    place: RowRef[RowsT]


class Member(Generic[RowsT]):
    """A member of an ensemble that decodes, for all lanes."""

    def __init__(
        self,
        model: StepModel[RowsT],
        run: Run,
        *,
        call_timeout_s: float,
        canary: Int64Array,
        new_call: Callable[[], Any],
        lost: Callable[[str, MemberFailure], None],
        health: MemberHealth,
    ) -> None:
        """canary: (tokens,) an input known to be good; new_call: makes what ends a call early

        lost: told of each sequence that this member, by its name, has no further part in
        health: told how the member does
        """
        self.name = model.name
        self._model = model
        calls = GuardedCalls(model.name, run, call_timeout_s, new_call, health)

        # A prompt that could be started may still be one that can't be stepped.
        self._known = Canary(canary)

        def try_step(call: Any) -> None:
            _, rows = model.start(canary, call)
            model.step(rows, canary[:1], call)

        gone = partial(lost, model.name)
        self._starts = BisectingRunner(
            calls,
            self._start_all,
            size=len,
            canary=self._known,
            try_canary=lambda call: model.start(self._known.item, call),
            lost=gone,
            health=health,
        )
        self._steps = BisectingRunner(
            calls,
            self._step_all,
            size=_rows,
            canary=Canary(canary),
            try_canary=try_step,
            lost=gone,
            health=health,
        )

    async def start(self, ids: Int64Array, priority: int) -> StepOutput[RowsT] | MemberFailure:
        """The first step of one sequence, or why this member has no part in it."""
        (started,) = await self._starts.run([ids], priority)
        return started

    async def step(
        self, strands: Sequence[RowSlice[RowsT]], priority: int
    ) -> list[StepOutput[RowsT] | MemberFailure]:
        """The next step of each sequence, or why this member has no further part in it."""
        return await self._steps.run(strands, priority)

    def _start_all(self, prompts: Sequence[Int64Array], call: Any) -> list[StepOutput[RowsT]]:
        started = []
        for ids in prompts:
            logits, rows = self._model.start(ids, call)
            started.append(StepOutput(logits[None], RowRef(rows, 0)))
            self._known.passed(ids)
        return started

    def _step_all(self, strands: Sequence[RowSlice[RowsT]], call: Any) -> list[StepOutput[RowsT]]:
        logits, rows = self._model.step(self._next_rows(strands), _tokens(strands), call)
        expected = _rows(strands)
        if len(logits) != expected or len(rows) != expected:
            raise MemberFailed(self.name, f"{len(logits)} rows came back of {expected}")
        stepped = []
        first = 0
        for strand in strands:
            end = first + len(strand.tokens)
            stepped.append(StepOutput(logits[first:end], RowRef(rows, first)))
            first = end
        return stepped

    def _next_rows(self, strands: Sequence[RowSlice[RowsT]]) -> RowsT:
        """What the rows of the next step come from, in their order."""
        parts = []
        for _, together in groupby(strands, key=lambda strand: id(strand.place.rows)):
            group = list(together)
            rows = group[0].place.rows
            wanted = [
                strand.place.first + int(parent) for strand in group for parent in strand.parents
            ]
            everything = wanted == list(range(len(rows)))
            parts.append(rows if everything else self._model.select(rows, wanted))
        return parts[0] if len(parts) == 1 else self._model.join(parts)


def _rows(strands: Sequence[RowSlice[Any]]) -> int:
    return sum(len(strand.tokens) for strand in strands)


def _tokens(strands: Sequence[RowSlice[Any]]) -> Int64Array:
    """(rows,) of all strands."""
    return np.concatenate([strand.tokens for strand in strands])
