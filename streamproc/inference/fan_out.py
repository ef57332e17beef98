"""A batch to every member at once, and back: one output a member for each sequence.

What fails is told apart here. A batch that a member fails on is halved until the sequence that it
fails on is alone. A member that fails even on the canary, a sequence known to be good, is itself
at fault: that is the worker's trouble, not the request's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from streamproc.errors import MemberError, MemberFailed, MemberLate, OutOfMemory, WorkerFault
from streamproc.inference.executor import ModelExecutor
from streamproc.inference.members import Members
from streamproc.inference.outputs import (
    Batch,
    FloatArray,
    HiddenArray,
    MemberOutput,
    ModelInput,
    Prefixed,
)
from streamproc.inference.session import Session, new_call
from streamproc.member_calls import MemberCalls

Row = tuple[MemberOutput, ...]
Array = TypeVar("Array", FloatArray, HiddenArray)


class FanOut:
    """All members of one ensemble, on one executor."""

    def __init__(
        self,
        members: Members,
        executor: ModelExecutor,
        *,
        needed_members: int,
        call_timeout_s: float,
        canary: ModelInput,
    ) -> None:
        """canary: as members take it"""
        self._sessions, self._prefix = tuple(members.sessions), members.prefix
        self._calls = {
            session.name: MemberCalls(session.name, executor.run, call_timeout_s, new_call)
            for session in (*members.sessions, *filter(None, [members.prefix]))
        }
        self._needed = needed_members
        self._canary = canary
        self._max_padded_tokens: dict[str, int] = {}

    async def run(self, sequences: Sequence[ModelInput], priority: int) -> list[Row]:
        """For each sequence, the outputs of all members in order.

        Raises WorkerFault when members that can't run at all leave fewer than are needed, and
        OutOfMemory when the device has no memory for a single sequence.
        """
        if self._prefix is None:
            return await self._members(sequences, priority)
        read = await self._ask(self._prefix, list(sequences), priority)
        if isinstance(read, WorkerFault):
            raise read
        prefixed = [
            Prefixed(sequence.ids, sequence.type_ids, hidden)
            for sequence, hidden in zip(sequences, read, strict=True)
            if not isinstance(hidden, MemberError)
        ]
        rows = iter(await self._members(prefixed, priority) if prefixed else ())
        return [
            self._unread(hidden) if isinstance(hidden, MemberError) else next(rows)
            for hidden in read
        ]

    def _unread(self, failure: MemberError) -> Row:
        """What members say of a sequence that the layers before them failed on."""
        return tuple(MemberOutput(session.name, None, failure) for session in self._sessions)

    async def _members(self, sequences: Sequence[ModelInput], priority: int) -> list[Row]:
        columns = await asyncio.gather(
            *(self._ask(session, list(sequences), priority) for session in self._sessions)
        )
        broken = [column for column in columns if isinstance(column, WorkerFault)]
        if len(self._sessions) - len(broken) < self._needed:
            raise broken[0]
        rows = []
        for row in range(len(sequences)):
            outputs = []
            for session, column in zip(self._sessions, columns, strict=True):
                if isinstance(column, WorkerFault):
                    failure = MemberFailed(session.name, str(column))
                    outputs.append(MemberOutput(session.name, None, failure))
                elif isinstance(said := column[row], MemberError):
                    outputs.append(MemberOutput(session.name, None, said))
                else:
                    outputs.append(MemberOutput(session.name, said))
            rows.append(tuple(outputs))
        return rows

    async def _ask(
        self, session: Session[Array], sequences: list[ModelInput], priority: int
    ) -> list[Array | MemberError] | WorkerFault:
        """One member's outputs for all sequences, or why it can't run at all."""
        try:
            return await self._halving(session, sequences, priority)
        except WorkerFault as fault:
            return fault

    async def _halving(
        self, session: Session[Array], sequences: list[ModelInput], priority: int
    ) -> list[Array | MemberError]:
        cap = self._max_padded_tokens.get(session.name)
        batch = Batch.pad(sequences)
        if cap is not None and batch.padded_tokens > cap and len(sequences) > 1:
            return await self._halves(session, sequences, priority)
        try:
            return list(await self._call(session, batch, priority))
        except MemberLate as late:
            return [late] * len(sequences)
        except OutOfMemory:
            if len(sequences) == 1:
                raise
            self._max_padded_tokens[session.name] = batch.padded_tokens // 2
            return await self._halves(session, sequences, priority)
        except MemberFailed as failure:
            if len(sequences) > 1:
                return await self._halves(session, sequences, priority)
            await self._try_canary(session, priority, failure)
            return [failure]

    async def _halves(
        self, session: Session[Array], sequences: list[ModelInput], priority: int
    ) -> list[Array | MemberError]:
        middle = len(sequences) // 2
        first = await self._halving(session, sequences[:middle], priority)
        return first + await self._halving(session, sequences[middle:], priority)

    async def _try_canary(
        self, session: Session[Array], priority: int, failure: MemberFailed
    ) -> None:
        try:
            await self._call(session, Batch.pad([self._canary]), priority)
        except MemberError:
            raise WorkerFault(
                f"member {session.name} fails on everything: {failure.reason}"
            ) from None

    async def _call(self, session: Session[Array], batch: Batch, priority: int) -> Sequence[Array]:
        scores = await self._calls[session.name].make(
            lambda call: session.run(batch, call), priority
        )
        if len(scores) != len(batch.ids):
            raise MemberFailed(session.name, f"{len(scores)} rows for {len(batch.ids)} sequences")
        return scores
