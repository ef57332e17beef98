"""A batch to every member at once, and back: one output a member for each sequence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from streamproc.errors import MemberError, MemberFailed, WorkerFault
from streamproc.inference.executor import ModelExecutor
from streamproc.inference.outputs import Batch, FloatArray, MemberOutput, ModelInput
from streamproc.inference.session import Session, new_call
from streamproc.member_batches import Lost, MemberBatches
from streamproc.member_calls import MemberCalls


class FanOut:
    """All members of one ensemble, on one executor."""

    def __init__(
        self,
        sessions: Sequence[Session],
        executor: ModelExecutor,
        *,
        needed_members: int,
        call_timeout_s: float,
        canary: ModelInput,
        lost: Callable[[str, Lost], None],
    ) -> None:
        """canary: a sequence known to be good

        lost: told of each sequence that a member, by its name, has no scores for
        """
        self._members = {
            session.name: _member_batches(
                session,
                MemberCalls(session.name, executor.run, call_timeout_s, new_call),
                canary,
                partial(lost, session.name),
            )
            for session in sessions
        }
        self._needed = needed_members

    async def run(
        self, sequences: Sequence[ModelInput], priority: int
    ) -> list[tuple[MemberOutput, ...]]:
        """For each sequence, the outputs of all members in order.

        Raises WorkerFault when members that can't run at all leave fewer than are needed, and
        OutOfMemory when the device has no memory for a single sequence.
        """
        columns = await asyncio.gather(
            *(member.run(sequences, priority) for member in self._members.values())
        )
        faults = [_fault(column) for column in columns]
        broken = [fault for fault in faults if fault is not None]
        if len(columns) - len(broken) < self._needed:
            raise broken[0]
        outputs = [
            [_output(name, fault or found) for found in column]
            for name, column, fault in zip(self._members, columns, faults, strict=True)
        ]
        return list(zip(*outputs, strict=True))


def _member_batches(
    session: Session, calls: MemberCalls, canary: ModelInput, lost: Callable[[Lost], None]
) -> MemberBatches[ModelInput, FloatArray]:
    def scores(sequences: Sequence[ModelInput], call: Any) -> Sequence[FloatArray]:
        found = session.run(Batch.pad(sequences), call)
        if len(found) != len(sequences):
            raise MemberFailed(session.name, f"{len(found)} rows for {len(sequences)} sequences")
        return found

    return MemberBatches(
        calls,
        scores,
        size=_padded_tokens,
        canary=lambda call: scores([canary], call),
        lost=lost,
    )


def _padded_tokens(sequences: Sequence[ModelInput]) -> int:
    return len(sequences) * max(len(sequence.ids) for sequence in sequences)


def _fault(column: Sequence[FloatArray | Lost]) -> WorkerFault | None:
    """Why a member can't run at all, where that is so."""
    return next((found for found in column if isinstance(found, WorkerFault)), None)


def _output(member: str, found: FloatArray | Lost) -> MemberOutput:
    if isinstance(found, WorkerFault):
        found = MemberFailed(member, str(found))
    if isinstance(found, MemberError):
        return MemberOutput(member, None, found)
    return MemberOutput(member, found)
