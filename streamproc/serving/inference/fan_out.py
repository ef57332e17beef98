"""A batch to every member at once, and back: one output a member for each sequence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from streamproc.errors import MemberFailed
from streamproc.serving.bisection import BisectingRunner, Canary, MemberFailure
from streamproc.serving.guarded_calls import GuardedCalls
from streamproc.serving.inference.batch import BackboneOutput, Batch, MemberOutput, ModelInput
from streamproc.serving.inference.executor import ModelExecutor
from streamproc.serving.inference.members import Members
from streamproc.serving.inference.session import Session, new_call
from streamproc.serving.member_health import MemberHealth
from streamproc.types import Float32Array, FloatArray

Row = tuple[MemberOutput, ...]
Array = TypeVar("Array", FloatArray, Float32Array)


class FanOut:
    """All members of one ensemble, on one executor."""

    def __init__(
        self,
        members: Members,
        executor: ModelExecutor,
        *,
        call_timeout_s: float,
        canary: ModelInput,
        lost: Callable[[str, MemberFailure], None],
        health: MemberHealth,
    ) -> None:
        """canary: a sequence known to be good, as members take it

        lost: told of each sequence that a member, by its name, has no scores for
        health: told how members do
        """

        def batches(
            session: Session[Array], of_session: Callable[[MemberFailure], None]
        ) -> BisectingRunner[ModelInput, Array]:
            calls = GuardedCalls(session.name, executor.run, call_timeout_s, new_call, health)
            return _batches(session, calls, canary, of_session, health)

        def lost_by_all(reason: MemberFailure) -> None:
            for session in members.sessions:
                lost(session.name, reason)

        self._members = {
            session.name: batches(session, partial(lost, session.name))
            for session in members.sessions
        }
        self._prefix = None if members.prefix is None else batches(members.prefix, lost_by_all)

    async def run(self, sequences: Sequence[ModelInput], priority: int) -> list[Row]:
        """For each sequence, the outputs of all members in order, or why a member has none."""
        if self._prefix is None:
            return await self._run_members(sequences, priority)
        read = await self._prefix.run(sequences, priority)
        prefixed = [
            BackboneOutput(sequence.ids, sequence.type_ids, hidden)
            for sequence, hidden in zip(sequences, read, strict=True)
            if not isinstance(hidden, MemberFailure)
        ]
        rows = iter(await self._run_members(prefixed, priority) if prefixed else ())
        return [
            self._unread(hidden) if isinstance(hidden, MemberFailure) else next(rows)
            for hidden in read
        ]

    def _unread(self, failure: MemberFailure) -> Row:
        """What members say of a sequence that the layers before them failed on."""
        return tuple(MemberOutput(member, None, failure) for member in self._members)

    async def _run_members(self, sequences: Sequence[ModelInput], priority: int) -> list[Row]:
        columns = await asyncio.gather(
            *(member.run(sequences, priority) for member in self._members.values())
        )
        outputs = [
            [_output(member, found) for found in column]
            for member, column in zip(self._members, columns, strict=True)
        ]
        return list(zip(*outputs, strict=True))


def _batches(
    session: Session[Array],
    calls: GuardedCalls,
    canary: ModelInput,
    lost: Callable[[MemberFailure], None],
    health: MemberHealth,
) -> BisectingRunner[ModelInput, Array]:
    known = Canary(canary)

    def run(sequences: Sequence[ModelInput], token: Any) -> Sequence[Array]:
        found = session.run(Batch.pad(sequences), token)
        if len(found) != len(sequences):
            raise MemberFailed(session.name, f"{len(found)} rows for {len(sequences)} sequences")
        return found

    def call(sequences: Sequence[ModelInput], token: Any) -> Sequence[Array]:
        found = run(sequences, token)
        known.passed(sequences[0])
        return found

    return BisectingRunner(
        calls,
        call,
        size=_padded_tokens,
        canary=known,
        try_canary=lambda token: run([known.item], token),
        lost=lost,
        health=health,
    )


def _padded_tokens(sequences: Sequence[ModelInput]) -> int:
    return len(sequences) * max(len(sequence.ids) for sequence in sequences)


def _output(member: str, found: FloatArray | MemberFailure) -> MemberOutput:
    if isinstance(found, MemberFailure):
        return MemberOutput(member, None, found)
    return MemberOutput(member, found)
