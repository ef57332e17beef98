"""Nothing stays behind of sequences that have left, however they left."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Sequence
from typing import Any

import pytest

from streamproc.errors import MemberFailed
from streamproc.serving.decoding.kv_cache_budget import KVCacheLimits
from streamproc.testing.generative import Histories, ScriptedStepModel
from tests.support.decoding_scenes import (
    POISON,
    VOCABULARY,
    Gate,
    decoding,
    prompt,
    submitted,
    written,
)


class Remembered(list[tuple[int, ...]]):
    """Rows that can be watched: whether anything still holds them."""


class Remembering(ScriptedStepModel):
    """A member whose rows are watched."""

    def __init__(self, name: str, before: Any = None) -> None:
        super().__init__(name, VOCABULARY, before)
        self._made: list[weakref.ref[Remembered]] = []

    def _scored(self, rows: Histories) -> Any:
        logits, stepped = super()._scored(rows)
        return logits, self._watched(stepped)

    def select(self, rows: Histories, indices: Sequence[int]) -> Any:
        return self._watched(super().select(rows, indices))

    def _watched(self, rows: Histories) -> Remembered:
        remembered = Remembered(rows)
        self._made.append(weakref.ref(remembered))
        return remembered

    async def until_rows_held(self, expected: int) -> None:
        """Returns once so many are; a thread takes a moment to let go of what it has delivered."""
        held = -1
        for _ in range(200):
            gc.collect()
            held = sum(len(rows) for made in self._made if (rows := made()) is not None)
            if held == expected:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"{held} rows are held, not {expected}")


@pytest.mark.parametrize("join_every", [1, 8])
async def test_a_burst_leaves_no_rows_behind(join_every: int) -> None:
    gate = Gate()

    def hold_or_refuse(rows: Histories) -> None:
        if any(row[0] == POISON and len(row) >= 4 for row in rows):
            raise MemberFailed("a", "poison")
        if any(len(row) == 3 for row in rows):
            gate(rows)

    member = Remembering("a", hold_or_refuse)
    limits = KVCacheLimits(max_rows=6)
    async with decoding(member, limits=limits, join_every=join_every) as loop:
        firsts = (5, 6, 7, POISON, 8, 9, 10, 11)
        tasks = [submitted(loop, prompt(first, new=9)) for first in firsts]
        await asyncio.to_thread(gate.reached.wait, 20)
        for task in (tasks[0], tasks[4], tasks[7]):
            task.cancel()
        gate.open()
        await asyncio.gather(*tasks, return_exceptions=True)
        del tasks, task
        await loop.close()

        await member.until_rows_held(0)
        assert loop.queued_tokens == 0
        # All rows are free again: as many as there is room for are stepped side by side.
        again = [submitted(loop, prompt(20 + number, new=4)) for number in range(6)]
        assert [len(written((await task).result)) for task in again] == [4] * 6


async def test_a_sequence_that_left_is_forgotten_while_others_go_on() -> None:
    gate = Gate()

    def hold_the_long(rows: Histories) -> None:
        if any(len(row) == 20 for row in rows):
            gate(rows)

    member = Remembering("a", hold_the_long)
    async with decoding(member) as loop:
        long = submitted(loop, prompt(5, new=40))
        short = [submitted(loop, prompt(6 + number, new=4)) for number in range(5)]
        cancelled = submitted(loop, prompt(12, new=1000))
        await asyncio.gather(*short)
        cancelled.cancel()
        del short, cancelled
        await asyncio.to_thread(gate.reached.wait, 20)

        await member.until_rows_held(1)
        gate.open()
        await long


async def test_what_a_lost_member_remembered_is_forgotten_while_the_others_go_on() -> None:
    gate = Gate()

    def refuse(rows: Histories) -> None:
        if any(row[0] == POISON and len(row) == 5 for row in rows):
            raise MemberFailed("a", "poison")

    def hold(rows: Histories) -> None:
        if any(len(row) == 20 for row in rows):
            gate(rows)

    lost, other = Remembering("a", refuse), ScriptedStepModel("b", VOCABULARY, hold)
    async with decoding(lost, other) as loop:
        poison = submitted(loop, prompt(POISON, members=2, needed=1, new=40))
        beside = [submitted(loop, prompt(first, members=2, new=9)) for first in (5, 6, 7)]
        await asyncio.to_thread(gate.reached.wait, 20)
        await asyncio.wait(beside)
        del beside

        await lost.until_rows_held(0)
        gate.open()
        assert (await poison).result.status(0) == "failed"
