"""A batch to every member at once, and back: one output a member for each sequence."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from streamproc.errors import MemberFailed
from streamproc.metrics import Metrics
from streamproc.serving.guarded_calls import Call, GuardedCalls
from streamproc.serving.inference.batch import (
    BackboneOutput,
    Batch,
    HiddenStates,
    Inputs,
    MemberOutput,
    ModelInput,
    RanTogether,
    Row,
    SelectedInput,
)
from streamproc.serving.inference.executor import ModelExecutor
from streamproc.serving.inference.members import Members
from streamproc.serving.inference.session import Session
from streamproc.serving.member_failures import FailureCounter, MemberFailure
from streamproc.serving.member_health import MemberHealth
from streamproc.serving.member_runner import MemberRunner
from streamproc.serving.selection import MemberPolicy, Selection
from streamproc.tracing.tracer import NO_ENSEMBLE_TRACER, EnsembleTracer
from streamproc.types import FloatArray

Array = TypeVar("Array", FloatArray, HiddenStates)


class SessionRunner(MemberRunner[ModelInput, Array]):
    """Runs padded batches on one session."""

    def __init__(
        self,
        session: Session[Array],
        calls: GuardedCalls,
        canary: ModelInput,
        failures: FailureCounter,
        traces: EnsembleTracer,
    ) -> None:
        """canary: a sequence known to be good, as the session takes it"""
        super().__init__(calls, failures, traces)
        self._session: Session[Array] = session
        self._canary = canary
        self._own_ids = canary.ids

    def call(self, items: Sequence[ModelInput], call: Call) -> Sequence[Array]:
        found = self._scores(items, call)
        request = next((item for item in items if not self.is_canary(item)), None)
        if request is not None:
            self._canary, self.canary_is_proven = request, True
        return found

    def is_canary(self, item: ModelInput) -> bool:
        # Most differ in length, which is told in a tenth of the time.
        return len(item.ids) == len(self._own_ids) and np.array_equal(item.ids, self._own_ids)

    def call_canary(self, call: Call) -> None:
        self._scores([self._canary], call)

    def size(self, items: Sequence[ModelInput]) -> int:
        """In padded tokens."""
        return len(items) * max(len(sequence.ids) for sequence in items)

    def _scores(self, sequences: Sequence[ModelInput], call: Call) -> Sequence[Array]:
        padded = sequences.padded() if isinstance(sequences, Inputs) else Batch.pad(sequences)
        found = self._session.run(padded, call)
        if len(found) != len(sequences):
            raise MemberFailed(self.member, f"{len(found)} rows for {len(sequences)} sequences")
        return found


class FanOut:
    """All members of one ensemble, on one executor; before them its shared layers, if it has any.

    canary: a sequence known to be good, as members take it
    health: told how members do
    """

    def __init__(
        self,
        members: Members,
        executor: ModelExecutor,
        *,
        call_timeout_s: float,
        canary: ModelInput,
        metrics: Metrics,
        health: MemberHealth,
        traces: EnsembleTracer = NO_ENSEMBLE_TRACER,
    ) -> None:
        def runner(session: Session[Array], counted: Sequence[str]) -> SessionRunner[Array]:
            took = metrics.member_seconds.labels(health.ensemble, session.name).inc
            calls = GuardedCalls(session.name, executor, call_timeout_s, health, took)
            failures = FailureCounter(metrics, health.ensemble, counted)
            return SessionRunner(session, calls, canary, failures, traces)

        names = [session.name for session in members.sessions]
        # There from the start, so that a rate has something to start from.
        self._skips = [metrics.member_skips.labels(health.ensemble, name) for name in names]
        self._members = [runner(session, [session.name]) for session in members.sessions]
        self._backbone = runner(members.backbone, names) if members.backbone is not None else None

    async def run(self, sequences: Sequence[ModelInput], priority: int) -> list[Row]:
        """For each sequence, the outputs of all members in order, or why a member has none.

        Of a `SelectedInput`, those that its selection does not ask for have none.
        """
        selections = [_selection(sequence) for sequence in sequences]
        # A member may keep a sequence for long: not with it the request that has chosen members.
        sequences = [one.sequence if isinstance(one, SelectedInput) else one for one in sequences]
        if self._backbone is None:
            return await self._run_members(sequences, selections, priority)
        found = await self._backbone.run(sequences, priority)
        read: list[ModelInput] = []
        selected: list[Selection | None] = []
        for sequence, selection, hidden in zip(sequences, selections, found, strict=True):
            if not isinstance(hidden, MemberFailure):
                read.append(BackboneOutput(sequence.ids, sequence.type_ids, hidden))
                selected.append(selection)
        rows = iter(await self._run_members(read, selected, priority) if read else ())
        return [
            Row(MemberOutput(runner.member, None, hidden) for runner in self._members)
            if isinstance(hidden, MemberFailure)
            else next(rows)
            for hidden in found
        ]

    async def _run_members(
        self,
        sequences: Sequence[ModelInput],
        selections: Sequence[Selection | None],
        priority: int,
    ) -> list[Row]:
        if any(selections):
            return await self._run_in_rounds(sequences, selections, priority)
        inputs = Inputs(sequences)
        columns = await asyncio.gather(*(runner.run(inputs, priority) for runner in self._members))
        outputs = [
            [_output(runner.member, found) for found in column]
            for runner, column in zip(self._members, columns, strict=True)
        ]
        return _rows(sequences, outputs)

    async def _run_in_rounds(
        self,
        sequences: Sequence[ModelInput],
        selections: Sequence[Selection | None],
        priority: int,
    ) -> list[Row]:
        """Each member on those sequences that ask for it, until none asks for another."""
        everyone = Selection(MemberPolicy(), range(len(self._members)), len(self._members))
        outputs: list[dict[int, MemberOutput]] = [{} for _ in sequences]
        while True:
            wanted: dict[int, list[int]] = {}
            for place, selection in enumerate(selections):
                said = {member: output.scores for member, output in outputs[place].items()}
                for member in (selection or everyone).next_round(said):
                    wanted.setdefault(member, []).append(place)
            if not wanted:
                return [self._row(one) for one in outputs]
            columns = await asyncio.gather(
                *(
                    self._members[member].run([sequences[place] for place in places], priority)
                    for member, places in wanted.items()
                )
            )
            for (member, places), column in zip(wanted.items(), columns, strict=True):
                for place, found in zip(places, column, strict=True):
                    outputs[place][member] = _output(self._members[member].member, found)

    def _row(self, outputs: Mapping[int, MemberOutput]) -> Row:
        for member, skips in enumerate(self._skips):
            if member not in outputs:
                skips.inc()
        return Row(
            outputs.get(member) or MemberOutput(runner.member, None)
            for member, runner in enumerate(self._members)
        )


def _rows(sequences: Sequence[ModelInput], outputs: Sequence[Sequence[MemberOutput]]) -> list[Row]:
    """outputs: of each member, for each sequence"""
    rows = [Row(row) for row in zip(*outputs, strict=True)]
    scores = [[one.scores for one in column if one.scores is not None] for column in outputs]
    if all(len(column) == len(sequences) for column in scores):
        together = RanTogether(sequences, range(len(outputs)), scores)
        for place, row in enumerate(rows):
            row.together, row.place = together, place
    return rows


def _selection(sequence: ModelInput) -> Selection | None:
    return sequence.selection if isinstance(sequence, SelectedInput) else None


def _output(member: str, found: FloatArray | MemberFailure) -> MemberOutput:
    if isinstance(found, MemberFailure):
        return MemberOutput(member, None, found)
    return MemberOutput(member, found)
