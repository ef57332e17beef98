from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import Any

import pytest

from streamproc.errors import MemberDown, MemberFailed, OutOfMemory, QuorumNotMet, WorkerFault
from streamproc.testing.generative import Histories, ScriptedStepModel
from streamproc.types import FloatArray
from tests.support.decoding_scenes import (
    CANARY,
    POISON,
    VOCABULARY,
    Gate,
    Recorder,
    combine,
    decoding,
    evidence,
    model,
    outcomes,
    prompt,
    submitted,
    written,
)


def poisoned_at(length: int) -> Any:
    """Fails on a row that began with POISON once it is so long."""

    def refuse(rows: Histories) -> None:
        if any(row[0] == POISON and len(row) >= length for row in rows):
            raise MemberFailed("a", "poison")

    return refuse


@pytest.mark.parametrize("length", [1, 3])
async def test_a_sequence_that_a_member_fails_on_fails_alone(length: int) -> None:
    async with decoding(model()) as loop:
        expected = await outcomes(loop, prompt(5), prompt(6), prompt(7))
    async with decoding(model(before=poisoned_at(length))) as loop:
        found = await asyncio.gather(
            *(submitted(loop, prompt(first)) for first in (5, 6, POISON, 7)),
            return_exceptions=True,
        )

    poison = found.pop(2)
    assert isinstance(poison, QuorumNotMet)
    assert "0 of 1 members answered, 1 are needed: member a: poison" in str(poison)
    texts = [written(one.result) for one in found if not isinstance(one, BaseException)]
    assert texts == [written(one) for one in expected]


async def test_what_can_not_be_combined_fails_alone() -> None:
    def refuse(logits: Any, evidence: Any, answered: Any) -> Any:
        # As a bug might that one of the rows brings about.
        if (evidence < 0).any():
            raise ValueError("a weight below zero")
        return combine(logits, evidence, answered)

    async with decoding(model()) as loop:
        expected = await outcomes(loop, prompt(5), prompt(6))
        prompts = [replace(prompt(first), combine=refuse) for first in (5, 7, 6)]
        prompts[1] = replace(prompts[1], evidence=lambda written: -evidence(written))
        found = await asyncio.gather(
            *(submitted(loop, one) for one in prompts), return_exceptions=True
        )

    assert isinstance(found.pop(1), ValueError)
    texts = [written(one.result) for one in found if not isinstance(one, BaseException)]
    assert texts == [written(one) for one in expected]


async def test_steps_of_others_come_between_the_pieces_of_a_long_prompt() -> None:
    calls: list[str] = []
    gate = Gate()

    def note(rows: Histories) -> None:
        if rows[0][0] == 9:
            calls.append("piece")
            gate(rows)
        else:
            calls.append("step")
            # Only once the long prompt waits for the one thread there is.
            if len(rows[0]) > 4:
                gate.open()

    member = ReadingInPieces("a", before=note)
    async with decoding(member, threads=2) as loop:
        short = submitted(loop, prompt(5, new=30))
        long = submitted(loop, prompt(*[9] * 40, new=2))
        found = [written((await one).result) for one in (short, long)]
    async with decoding(model()) as loop:
        whole = await outcomes(loop, prompt(5, new=30), prompt(*[9] * 40, new=2))

    assert found == [written(one) for one in whole]
    assert calls.count("piece") >= 40 // ReadingInPieces.piece_tokens


async def test_a_prompt_that_a_member_fails_on_in_its_second_piece_fails() -> None:
    def refuse(rows: Histories) -> None:
        if len(rows[0]) > ReadingInPieces.piece_tokens:
            raise MemberFailed("a", "too much")

    async with decoding(ReadingInPieces("a", before=refuse)) as loop:
        with pytest.raises(QuorumNotMet, match="too much"):
            await submitted(loop, prompt(*[9] * 12))


class ReadingInPieces(ScriptedStepModel):
    """A member that reads a prompt in several calls."""

    piece_tokens = 8

    def __init__(self, name: str, before: Any) -> None:
        super().__init__(name, VOCABULARY, before)

    def read_on(self, rows: Histories, ids: Any, call: Any) -> tuple[FloatArray, Histories]:
        (row,) = rows
        logits, read = self._scored(((*row, *ids.tolist()),))
        return logits[0], read


async def test_a_member_lost_for_a_sequence_takes_no_further_part_in_it_alone() -> None:
    recorder = Recorder(poisoned_at(3))
    async with decoding(model(before=recorder), model("b")) as loop:
        poison, good = await outcomes(
            loop, prompt(POISON, members=2, needed=1, new=8), prompt(5, members=2, new=8)
        )

    assert (poison.status(0), poison.status(1)) == ("failed", "ok")
    assert (good.status(0), good.status(1)) == ("ok", "ok")
    assert len(written(poison)) == len(written(good)) == 8
    failed_at = max(index for index, call in enumerate(recorder.calls) if POISON in call)
    assert len(recorder.calls) > failed_at + 3


async def test_what_the_members_that_are_left_write_is_the_answer() -> None:
    async with decoding(model("b")) as loop:
        (alone,) = await outcomes(loop, prompt(POISON))
    async with decoding(model(before=poisoned_at(1)), model("b")) as loop:
        (found,) = await outcomes(loop, prompt(POISON, members=2, needed=1))

    assert written(found) == written(alone)


async def test_a_member_that_fails_on_the_canary_too_is_the_workers_fault() -> None:
    def refuse(_: Histories) -> None:
        raise MemberFailed("a", "broken")

    async with decoding(model(before=refuse), model("b")) as loop:
        with pytest.raises(WorkerFault, match="member a fails on everything: broken"):
            await submitted(loop, prompt(5, members=2))
        (found,) = await outcomes(loop, prompt(5, members=2, needed=1))

    assert found.status(0) == "failed"


async def test_a_member_that_stalls_is_late_and_is_not_asked_again_before_it_is_back() -> None:
    release, stalled = threading.Event(), threading.Event()

    def stall(rows: Histories) -> None:
        if rows[0][0] == 7:
            stalled.set()
            release.wait(20)

    async with decoding(model(before=stall), model("b"), call_timeout_s=0.1) as loop:
        (late,) = await outcomes(loop, prompt(7, members=2, needed=1))
        (after,) = await outcomes(loop, prompt(5, members=2, needed=1))
        release.set()
        for _ in range(2_000):
            (back,) = await outcomes(loop, prompt(6, members=2, needed=1))
            if back.status(0) == "ok":
                break
            await asyncio.sleep(0.01)

    assert stalled.is_set()
    assert back.status(0) == "ok"
    assert (late.status(0), late.status(1)) == ("late", "ok")
    assert isinstance(after.failures[0], MemberDown)
    assert "has not returned" in str(after.failures[0])


async def test_a_member_late_at_one_step_is_lost_for_those_in_it_and_they_go_on() -> None:
    release, recorder = threading.Event(), Recorder()

    def stall(rows: Histories) -> None:
        recorder(rows)
        if any(row[0] == 7 and len(row) == 3 for row in rows):
            release.wait(20)

    async with decoding(model(before=stall), model("b"), call_timeout_s=0.1) as loop:
        found = await outcomes(
            loop, *(prompt(first, members=2, needed=1, new=8) for first in (7, 5))
        )
        release.set()

    assert [len(written(one)) for one in found] == [8, 8]
    assert [one.status(1) for one in found] == ["ok", "ok"]
    assert found[0].status(0) == "late"
    # The start, a step, and the one it was late at: it is asked for nothing more.
    assert sum(7 in call for call in recorder.calls) == 3


async def test_out_of_memory_halves_the_rows_and_is_remembered() -> None:
    recorder = Recorder()

    def small(rows: Histories) -> None:
        if len(rows) > 2:
            raise OutOfMemory("no room")

    recorder.then = small
    async with decoding(model(before=recorder)) as loop:
        found = await outcomes(loop, *(prompt(5 + number, new=12) for number in range(4)))

    assert [len(written(one)) for one in found] == [12] * 4
    assert 1 <= sum(len(call) > 2 for call in recorder.calls) <= 2


async def test_out_of_memory_for_one_sequence_is_the_workers_fault() -> None:
    def nothing(_: Histories) -> None:
        raise OutOfMemory("no room")

    async with decoding(model(before=nothing)) as loop:
        with pytest.raises(OutOfMemory, match="no room"):
            await submitted(loop, prompt(5))


async def test_a_sequence_too_large_by_itself_leaves_the_others_batches_as_large_as_they_were() -> (
    None
):
    recorder = Recorder()

    def no_room_for_poison(rows: Histories) -> None:
        if any(row[0] == POISON and len(row) > 2 for row in rows):
            raise OutOfMemory("no room")

    recorder.then = no_room_for_poison
    async with decoding(model(before=recorder)) as loop:
        with pytest.raises(OutOfMemory):
            await submitted(loop, prompt(POISON))
        # Long enough to be under way together, whenever each was read.
        await outcomes(loop, *(prompt(5 + number, new=40) for number in range(4)))

    assert max(map(len, recorder.calls)) == 4


async def test_a_member_asked_alone_comes_to_nothing_without_failing() -> None:
    async with decoding(model(before=poisoned_at(2))) as loop:
        (found,) = await outcomes(loop, prompt(POISON, needed=0))

    assert found.decoded is None
    assert found.status(0) == "failed"


async def test_a_broken_member_asked_alone_comes_to_nothing_though_it_is_the_workers_fault() -> (
    None
):
    def refuse(_: Histories) -> None:
        raise MemberFailed("a", "broken")

    async with decoding(model(before=refuse)) as loop:
        (found,) = await outcomes(loop, prompt(5, needed=0))

    assert found.decoded is None
    assert isinstance(found.failures[0], WorkerFault)


async def test_memory_that_numpy_does_not_get_is_memory_the_worker_has_not() -> None:
    class Cramped(ScriptedStepModel):
        def join(self, parts: Any) -> Histories:
            raise MemoryError("unable to allocate 9 GiB")

    async with decoding(Cramped("a", VOCABULARY)) as loop:
        found = await outcomes(loop, *(prompt(5 + number, new=12) for number in range(4)))

    assert [len(written(one)) for one in found] == [12] * 4


async def test_too_few_rows_from_a_member_is_its_failure() -> None:
    class Short(ScriptedStepModel):
        def step(self, rows: Histories, tokens: Any, call: Any) -> Any:
            logits, stepped = super().step(rows, tokens, call)
            return (logits, stepped) if rows[0][0] == CANARY else (logits[:0], stepped)

    async with decoding(Short("a", VOCABULARY)) as loop:
        with pytest.raises(QuorumNotMet, match="0 rows came back of 1"):
            await submitted(loop, prompt(5))


async def test_an_error_nobody_foresaw_is_that_of_the_sequence_that_met_it() -> None:
    def surprise(rows: Histories) -> None:
        if any(row[0] == POISON and len(row) > 2 for row in rows):
            raise ZeroDivisionError

    async with decoding(model(before=surprise)) as loop:
        poisoned, beside = submitted(loop, prompt(POISON)), submitted(loop, prompt(6))
        with pytest.raises(QuorumNotMet, match="member a: ZeroDivisionError in its call"):
            await poisoned
        assert len(written((await beside).result)) == 5
        (found,) = await outcomes(loop, prompt(5))

    assert len(written(found)) == 5
