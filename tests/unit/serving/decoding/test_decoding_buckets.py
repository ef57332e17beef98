"""Members that step only rows of one length together: sequences join in lots."""

from __future__ import annotations

import asyncio

from streamproc.testing.generative import ScriptedStepModel
from tests.support.decoding_scenes import (
    VOCABULARY,
    Gate,
    Recorder,
    decoding,
    prompt,
    submitted,
    written,
)


async def test_what_came_meanwhile_joins_all_at_once_at_the_next_turn() -> None:
    recorder, gate = Recorder(), Gate()
    recorder.then = lambda rows: gate(rows) if len(rows[0]) == 3 else None
    member = ScriptedStepModel("a", VOCABULARY, recorder)

    async with decoding(member, join_every=40) as loop:
        first = submitted(loop, prompt(5, new=100))
        await asyncio.to_thread(gate.reached.wait, 20)
        others = [submitted(loop, prompt(token, new=6)) for token in (7, 8)]
        for _ in range(20_000):
            if [7] in recorder.calls and [8] in recorder.calls:
                break
            await asyncio.sleep(0.001)
        gate.open()
        found = [written((await task).result) for task in (first, *others)]

    steps = [rows for rows in recorder.calls if rows not in ([7], [8])]
    # The first token comes of the start, then there are forty steps to the next turn.
    assert steps[:41] == [[5]] * 41
    # Which of the two was read first is up to the threads.
    assert [sorted(rows) for rows in steps[41:46]] == [[5, 7, 8]] * 5
    assert set(map(tuple, steps[46:])) == {(5,)}
    async with decoding(ScriptedStepModel("a", VOCABULARY)) as loop:
        for token, new, tokens in zip((5, 7, 8), (100, 6, 6), found, strict=True):
            assert written((await submitted(loop, prompt(token, new=new))).result) == tokens


async def test_a_batch_that_is_done_does_not_keep_what_came_meanwhile_waiting() -> None:
    async with decoding(ScriptedStepModel("a", VOCABULARY), join_every=1000) as loop:
        tasks = [submitted(loop, prompt(token, new=3)) for token in (5, 6, 7)]
        outcomes = await asyncio.wait_for(asyncio.gather(*tasks), 20)

    assert [len(written(timed.result)) for timed in outcomes] == [3, 3, 3]
