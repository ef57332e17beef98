"""One member's calls: what fails in them is told apart here, and a sequence at fault found.

A call that fails is halved until the sequence it fails on is alone. A member that fails even on
the canary, a sequence known to be good, is itself at fault: that is the worker's trouble.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Generic

import numpy as np

from streamproc.decoding.model import FloatArray, Int64Array, RowsT, StepModel
from streamproc.decoding.prompt import Lost
from streamproc.errors import MemberError, MemberFailed, MemberLate, OutOfMemory, WorkerFault
from streamproc.member_calls import MemberCalls, Run


@dataclass(frozen=True, slots=True)
class Place(Generic[RowsT]):
    """Where a sequence's rows lie in what a member remembers: the first, and those behind it."""

    rows: RowsT
    first: int


@dataclass(frozen=True, slots=True)
class Strand(Generic[RowsT]):
    """A sequence about to be stepped: its rows, and which of them goes on with which token.

    parents, tokens: (next rows,)
    """

    place: Place[RowsT]
    parents: Int64Array
    tokens: Int64Array


@dataclass(frozen=True, slots=True)
class Stepped(Generic[RowsT]):
    """What came of a step for one sequence; logits: (rows, vocabulary)."""

    logits: FloatArray
    place: Place[RowsT]


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
    ) -> None:
        """canary: (tokens,) an input known to be good; new_call: makes what ends a call early"""
        self.name = model.name
        self._model = model
        self._calls = MemberCalls(model.name, run, call_timeout_s, new_call)
        self._canary = canary
        self._max_rows: int | None = None

    async def start(self, ids: Int64Array, priority: int) -> Stepped[RowsT] | Lost:
        """The first step of one sequence, or why this member has no part in it."""
        try:
            logits, rows = await self._calls.make(
                lambda call: self._model.start(ids, call), priority
            )
        except (MemberFailed, OutOfMemory) as failure:
            return await self._blamed(failure, priority)
        except (MemberLate, WorkerFault) as lost:
            return lost
        return Stepped(logits[None], Place(rows, 0))

    async def step(
        self, strands: Sequence[Strand[RowsT]], priority: int
    ) -> list[Stepped[RowsT] | Lost]:
        """The next step of each sequence, or why this member has no further part in it."""
        rows = sum(len(strand.tokens) for strand in strands)
        if self._max_rows is not None and rows > self._max_rows and len(strands) > 1:
            return await self._halves(strands, priority)
        try:
            logits, stepped = await self._calls.make(
                lambda call: self._step(strands, call), priority
            )
        except (MemberFailed, OutOfMemory) as failure:
            if isinstance(failure, OutOfMemory):
                self._max_rows = max(1, rows // 2)
            if len(strands) > 1:
                return await self._halves(strands, priority)
            return [await self._blamed(failure, priority)]
        except (MemberLate, WorkerFault) as lost:
            return [lost] * len(strands)
        results: list[Stepped[RowsT] | Lost] = []
        first = 0
        for strand in strands:
            end = first + len(strand.tokens)
            results.append(Stepped(logits[first:end], Place(stepped, first)))
            first = end
        return results

    def _step(self, strands: Sequence[Strand[RowsT]], call: Any) -> tuple[FloatArray, RowsT]:
        parts = []
        for _, together in groupby(strands, key=lambda strand: id(strand.place.rows)):
            group = list(together)
            rows = group[0].place.rows
            wanted = [
                strand.place.first + int(parent) for strand in group for parent in strand.parents
            ]
            everything = wanted == list(range(len(rows)))
            parts.append(rows if everything else self._model.select(rows, wanted))
        joined = parts[0] if len(parts) == 1 else self._model.join(parts)
        tokens = [token for strand in strands for token in strand.tokens.tolist()]
        logits, stepped = self._model.step(joined, np.array(tokens, np.int64), call)
        if len(logits) != len(tokens) or len(stepped) != len(tokens):
            raise MemberFailed(self.name, f"{len(logits)} rows came back of {len(tokens)}")
        return logits, stepped

    async def _halves(
        self, strands: Sequence[Strand[RowsT]], priority: int
    ) -> list[Stepped[RowsT] | Lost]:
        middle = len(strands) // 2
        first = await self.step(strands[:middle], priority)
        return first + await self.step(strands[middle:], priority)

    async def _blamed(self, failure: MemberFailed | OutOfMemory, priority: int) -> Lost:
        """The failure of one sequence, or WorkerFault where the member fails on everything."""
        if isinstance(failure, OutOfMemory):
            return failure

        def canary(call: Any) -> None:
            _, rows = self._model.start(self._canary, call)
            self._model.step(rows, self._canary[:1], call)

        try:
            await self._calls.make(canary, priority)
        except MemberError:
            return WorkerFault(f"member {self.name} fails on everything: {failure.reason}")
        except WorkerFault as fault:
            return fault
        return failure
