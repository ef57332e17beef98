"""A batch to every member at once, and back: one output a member for each sequence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from streamproc.errors import MemberError, MemberFailed, WorkerFault
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
from streamproc.member_batches import Lost, MemberBatches
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
        lost: Callable[[str, Lost], None],
    ) -> None:
        """canary: a sequence known to be good, as members take it

        lost: told of each sequence that a member, by its name, has no scores for
        """

        def batches(
            session: Session[Array], of_session: Callable[[Lost], None]
        ) -> MemberBatches[ModelInput, Array]:
            calls = MemberCalls(session.name, executor.run, call_timeout_s, new_call)
            return _batches(session, calls, canary, of_session)

        def lost_by_all(reason: Lost) -> None:
            for session in members.sessions:
                lost(session.name, reason)

        self._members = {
            session.name: batches(session, partial(lost, session.name))
            for session in members.sessions
        }
        self._prefix = None if members.prefix is None else batches(members.prefix, lost_by_all)
        self._needed = needed_members

    async def run(self, sequences: Sequence[ModelInput], priority: int) -> list[Row]:
        """For each sequence, the outputs of all members in order.

        Raises WorkerFault when members that can't run at all leave fewer than are needed, and
        OutOfMemory when the device has no memory for a single sequence.
        """
        if self._prefix is None:
            return await self._run_members(sequences, priority)
        read = await self._prefix.run(sequences, priority)
        fault = _fault(read)
        if fault is not None:
            raise fault
        prefixed = [
            Prefixed(sequence.ids, sequence.type_ids, hidden)
            for sequence, hidden in zip(sequences, read, strict=True)
            if not isinstance(hidden, Lost)
        ]
        rows = iter(await self._run_members(prefixed, priority) if prefixed else ())
        return [self._unread(hidden) if isinstance(hidden, Lost) else next(rows) for hidden in read]

    def _unread(self, failure: Lost) -> Row:
        """What members say of a sequence that the layers before them failed on."""
        return tuple(_output(member, failure) for member in self._members)

    async def _run_members(self, sequences: Sequence[ModelInput], priority: int) -> list[Row]:
        columns = await asyncio.gather(
            *(member.run(sequences, priority) for member in self._members.values())
        )
        faults = [_fault(column) for column in columns]
        broken = [fault for fault in faults if fault is not None]
        if len(columns) - len(broken) < self._needed:
            raise broken[0]
        outputs = [
            [_output(member, fault or found) for found in column]
            for member, column, fault in zip(self._members, columns, faults, strict=True)
        ]
        return list(zip(*outputs, strict=True))


def _batches(
    session: Session[Array], calls: MemberCalls, canary: ModelInput, lost: Callable[[Lost], None]
) -> MemberBatches[ModelInput, Array]:
    def call(sequences: Sequence[ModelInput], token: Any) -> Sequence[Array]:
        found = session.run(Batch.pad(sequences), token)
        if len(found) != len(sequences):
            raise MemberFailed(session.name, f"{len(found)} rows for {len(sequences)} sequences")
        return found

    return MemberBatches(
        calls, call, size=_padded_tokens, canary=lambda token: call([canary], token), lost=lost
    )


def _padded_tokens(sequences: Sequence[ModelInput]) -> int:
    return len(sequences) * max(len(sequence.ids) for sequence in sequences)


def _fault(column: Sequence[Array | Lost]) -> WorkerFault | None:
    """Why a member can't run at all, where that is so."""
    return next((found for found in column if isinstance(found, WorkerFault)), None)


def _output(member: str, found: FloatArray | Lost) -> MemberOutput:
    if isinstance(found, WorkerFault):
        found = MemberFailed(member, str(found))
    if isinstance(found, MemberError):
        return MemberOutput(member, None, found)
    return MemberOutput(member, found)
