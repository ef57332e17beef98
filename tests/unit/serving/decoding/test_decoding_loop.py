from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from streamproc.messages.lane import Lane
from streamproc.metrics import Metrics
from streamproc.serving.decoding.kv_cache_budget import KVCacheLimits
from streamproc.serving.decoding.sampling import TokenSampler
from streamproc.serving.decoding.sampling_search import SamplingSearch
from streamproc.serving.decoding.search import Decoded
from tests.support.decoding_scenes import (
    ENSEMBLE,
    Gate,
    Recorder,
    decoding,
    model,
    outcomes,
    prompt,
    submitted,
    written,
)


async def until(condition: Any) -> None:
    for _ in range(20_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise TimeoutError


async def test_a_sequence_is_continued_by_the_likeliest_tokens() -> None:
    a = model()
    expected = [5, 6]
    for _ in range(4):
        expected.append(int(a.logits(expected).argmax()))

    async with decoding(a) as loop:
        (outcome,) = await outcomes(loop, prompt(5, 6, new=4))

    assert written(outcome) == expected[2:]
    assert outcome.status(0) == "ok"


async def test_members_are_combined_at_every_step() -> None:
    a, b = model("a"), model("b")
    expected = [5]
    for _ in range(6):
        odds = []
        for member in (a, b):
            exponentials = pow(2.718281828459045, member.logits(expected))
            odds.append(exponentials / exponentials.sum())
        expected.append(int((odds[0] + odds[1]).argmax()))

    async with decoding(a, b) as loop:
        (outcome,) = await outcomes(loop, prompt(5, new=6, members=2))

    assert written(outcome) == expected[1:]


async def test_sequences_are_stepped_together_and_join_between_two_steps() -> None:
    recorder = Recorder()
    gate = Gate()
    recorder.then = lambda rows: gate(rows) if len(rows[0]) == 3 else None
    registry = CollectorRegistry()

    def started() -> float | None:
        labels = {"ensemble": ENSEMBLE, "lane": "interactive"}
        return registry.get_sample_value("streamproc_first_token_seconds_count", labels)

    async with decoding(model(before=recorder), metrics=Metrics(registry)) as loop:
        first = submitted(loop, prompt(5, new=6))
        await asyncio.to_thread(gate.reached.wait, 20)
        second = submitted(loop, prompt(7, new=3))
        # The newcomer has started: it waits for the step under way to end.
        await until(lambda: started() == 2)
        gate.open()
        await asyncio.gather(first, second)

    assert recorder.calls == [[5], [5], [5], [7], [5, 7], [5, 7], [5]]


async def test_a_short_one_is_answered_while_a_long_one_goes_on() -> None:
    gate = Gate()

    def hold_the_long(rows: Any) -> None:
        if any(len(row) > 20 for row in rows):
            gate(rows)

    async with decoding(model(before=hold_the_long)) as loop:
        long = submitted(loop, prompt(5, new=40))
        short = await submitted(loop, prompt(6, new=3))

        assert len(written(short.result)) == 3
        assert not long.done()
        gate.open()
        assert len(written((await long).result)) == 40


async def test_a_cancelled_sequence_leaves_at_the_next_step() -> None:
    recorder, gate = Recorder(), Gate()
    recorder.then = gate

    async def leave() -> None:
        cancelled.cancel()
        await asyncio.wait({cancelled})

    def leave_within_the_step(rows: Any) -> None:
        # The step waits for the client's going, or the sequence could be written before it.
        if len(rows) == 2:
            asyncio.run_coroutine_threadsafe(leave(), running).result(20)

    running = asyncio.get_running_loop()
    async with decoding(model(before=recorder)) as loop:
        kept, cancelled = submitted(loop, prompt(5, new=6)), submitted(loop, prompt(6, new=6))
        await asyncio.to_thread(gate.reached.wait, 20)
        recorder.then = leave_within_the_step
        gate.open()
        assert len(written((await kept).result)) == 6
        with pytest.raises(asyncio.CancelledError):
            await cancelled

    assert [6] in recorder.calls
    assert recorder.calls[-1] == [5]


async def test_what_waits_is_bounded_by_rows_and_let_in_as_others_leave() -> None:
    recorder = Recorder()

    async with decoding(model(before=recorder), limits=KVCacheLimits(max_rows=2)) as loop:
        found = await outcomes(loop, *(prompt(5 + number, new=4) for number in range(7)))

    assert max(map(len, recorder.calls)) == 2
    assert [len(written(outcome)) for outcome in found] == [4] * 7


async def test_what_is_decoded_at_once_is_bounded_by_tokens() -> None:
    recorder, gate = Recorder(), Gate()
    recorder.then = gate

    async with decoding(model(before=recorder), limits=KVCacheLimits(max_tokens=25)) as loop:
        tasks = [submitted(loop, prompt(5 + number, new=9)) for number in range(5)]
        await asyncio.to_thread(gate.reached.wait, 20)
        assert loop.queued_tokens == 30
        gate.open()
        await asyncio.gather(*tasks)

    assert max(map(len, recorder.calls)) == 2
    assert loop.queued_tokens == 0


async def test_a_sequence_larger_than_the_room_is_decoded_alone() -> None:
    recorder = Recorder()

    async with decoding(model(before=recorder), limits=KVCacheLimits(max_tokens=5)) as loop:
        found = await outcomes(loop, prompt(5, new=9), prompt(6, new=2))

    assert [len(written(outcome)) for outcome in found] == [9, 2]
    assert max(map(len, recorder.calls)) == 1


async def test_one_that_gives_up_waiting_makes_way_for_those_behind_it() -> None:
    gate = Gate()

    async with decoding(model(before=gate), limits=KVCacheLimits(max_rows=1)) as loop:
        first, impatient, last = (submitted(loop, prompt(number)) for number in (5, 6, 7))
        await asyncio.to_thread(gate.reached.wait, 20)
        impatient.cancel()
        gate.open()
        assert len(written((await first).result)) == 5
        assert len(written((await last).result)) == 5


async def test_bulk_takes_no_rows_from_interactive_sequences() -> None:
    gate = Gate()

    def hold_bulk(rows: Any) -> None:
        if any(row[0] == 7 for row in rows):
            gate(rows)

    async with decoding(model(before=hold_bulk), limits=KVCacheLimits(max_rows=2)) as loop:
        bulk = [submitted(loop, prompt(7, number), Lane.BULK) for number in range(6)]
        await asyncio.to_thread(gate.reached.wait, 20)
        interactive = await submitted(loop, prompt(5))

        assert len(written(interactive.result)) == 5
        assert not any(task.done() for task in bulk)
        gate.open()
        found = await asyncio.gather(*bulk)

    assert all(len(written(timed.result)) == 5 for timed in found)


async def test_bulk_is_decoded_though_interactive_sequences_never_end() -> None:
    async with decoding(model(), threads=1) as loop:
        endless = [submitted(loop, prompt(5, number, new=100_000)) for number in range(3)]
        bulk = await asyncio.wait_for(submitted(loop, prompt(7), Lane.BULK), 20)
        assert len(written(bulk.result)) == 5
        assert not any(task.done() for task in endless)
        for task in endless:
            task.cancel()
        await asyncio.gather(*endless, return_exceptions=True)


async def test_a_search_that_fails_is_its_own_sequences_trouble() -> None:
    class Broken(TokenSampler):
        def choose(self, *_: Any, **__: Any) -> int:
            raise ZeroDivisionError

    async with decoding(model()) as loop:
        broken, good = await asyncio.gather(
            submitted(loop, prompt(5, choice=Broken)),
            submitted(loop, prompt(6)),
            return_exceptions=True,
        )

    assert isinstance(broken, ZeroDivisionError)
    assert not isinstance(good, BaseException)


async def test_a_result_that_cannot_be_told_is_its_own_sequences_trouble() -> None:
    class Untold(SamplingSearch):
        def result(self) -> Decoded:
            raise ZeroDivisionError

    ids = np.array([5], np.int64)

    def search() -> Untold:
        return Untold(ids, TokenSampler(), max_new_tokens=3, end_tokens=())

    async with decoding(model()) as loop:
        broken, good = await asyncio.gather(
            submitted(loop, replace(prompt(5), new_search=search)),
            submitted(loop, prompt(6, new=9)),
            return_exceptions=True,
        )

    assert isinstance(broken, ZeroDivisionError)
    assert not isinstance(good, BaseException)


async def test_time_waited_and_time_taken_are_told() -> None:
    gate = Gate()

    async with decoding(model(before=gate), limits=KVCacheLimits(max_rows=1)) as loop:
        first, second = submitted(loop, prompt(5)), submitted(loop, prompt(6))
        await asyncio.to_thread(gate.reached.wait, 20)
        await asyncio.sleep(0.05)
        gate.open()
        timed = await asyncio.gather(first, second)

    assert timed[0].run_ms >= 50
    assert timed[1].queue_ms >= timed[0].run_ms * 0.9
