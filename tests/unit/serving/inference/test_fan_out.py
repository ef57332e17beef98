from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from streamproc.clock import Clock, SystemClock
from streamproc.errors import MemberFailed, OutOfMemory, WorkerFault
from streamproc.metrics import Metrics
from streamproc.serving.inference.batch import Batch
from streamproc.serving.inference.executor import ModelExecutor
from streamproc.serving.inference.fan_out import FanOut
from streamproc.serving.inference.members import Members
from streamproc.serving.member_health import MemberHealth
from streamproc.testing import ManualClock, ScriptedSession
from streamproc.types import FloatArray
from tests.support.poison import (
    CANARY,
    POISON,
    failures,
    refuse_poison,
    sequence,
    statuses,
)

THREADS = 3


class Recorder:
    """What `before` is given to: notes each batch's first ids, then does what it is told."""

    def __init__(self, then: Callable[[Batch], None] = lambda _: None) -> None:
        self.batches: list[list[int]] = []
        self.then = then

    def __call__(self, batch: Batch) -> None:
        self.batches.append([int(row[0]) for row in batch.ids])
        self.then(batch)


def refuse_all(_: Batch) -> None:
    raise MemberFailed("a", "broken")


def fan_out_of(
    executor: ModelExecutor,
    *sessions: Any,
    call_timeout_s: float = 30.0,
    metrics: Metrics | None = None,
    clock: Clock | None = None,
) -> FanOut:
    return FanOut(
        Members(sessions),
        executor,
        call_timeout_s=call_timeout_s,
        canary=sequence(CANARY),
        metrics=metrics or Metrics(),
        health=MemberHealth(
            "tiny", [session.name for session in sessions], 1, clock or SystemClock()
        ),
    )


async def test_every_sequence_gets_every_members_scores_in_order(executor: ModelExecutor) -> None:
    members = [ScriptedSession(name) for name in "abc"]
    sequences = [sequence(5, 6, 7), sequence(8), sequence(9, 10)]

    rows = await fan_out_of(executor, *members).run(sequences, 0)

    assert [[output.member for output in row] for row in rows] == [["a", "b", "c"]] * 3
    for row, one in zip(rows, sequences, strict=True):
        for output, member in zip(row, members, strict=True):
            assert output.scores is not None
            assert np.array_equal(output.scores, member.logits(one.ids))


@pytest.mark.parametrize("place", range(7))
async def test_the_poison_is_isolated_and_its_neighbours_have_their_scores(
    executor: ModelExecutor, place: int
) -> None:
    sequences = [sequence(10 + number) for number in range(7)]
    sequences[place] = sequence(POISON, 3)
    member = ScriptedSession("a", before=refuse_poison)

    rows = await fan_out_of(executor, member).run(sequences, 0)

    assert statuses(rows) == [["failed"] if n == place else ["ok"] for n in range(7)]
    for number, (output,) in enumerate(rows):
        if number != place:
            assert output.scores is not None
            assert np.array_equal(output.scores, member.logits(sequences[number].ids))


async def test_several_poisons_in_one_batch_are_each_isolated(executor: ModelExecutor) -> None:
    sequences = [sequence(POISON if number in (0, 3, 4) else number) for number in range(2, 10)]
    sequences[0] = sequences[5] = sequence(POISON)

    rows = await fan_out_of(executor, ScriptedSession("a", before=refuse_poison)).run(sequences, 0)

    poisoned = [int(one.ids[0]) == POISON for one in sequences]
    assert statuses(rows) == [["failed"] if bad else ["ok"] for bad in poisoned]


async def test_a_batch_without_poison_is_run_once(executor: ModelExecutor) -> None:
    seen = Recorder()

    await fan_out_of(executor, ScriptedSession("a", before=seen)).run(
        [sequence(number) for number in range(2, 8)], 0
    )

    assert seen.batches == [[2, 3, 4, 5, 6, 7]]


async def test_out_of_memory_halves_the_batch_and_the_size_is_remembered(
    executor: ModelExecutor,
) -> None:
    def refuse_large(batch: Batch) -> None:
        if batch.padded_tokens > 4:
            raise OutOfMemory("no memory")

    seen = Recorder(refuse_large)
    fan_out = fan_out_of(executor, ScriptedSession("a", before=seen))
    sequences = [sequence(number, 0) for number in range(8)]
    assert statuses(await fan_out.run(sequences, 0)) == [["ok"]] * 8
    tried_at_first = list(seen.batches)
    seen.batches.clear()

    assert statuses(await fan_out.run(sequences, 0)) == [["ok"]] * 8

    assert len(tried_at_first[0]) == 8
    assert sorted(map(len, seen.batches)) == [2, 2, 2, 2]


async def test_no_memory_for_a_single_sequence_is_the_workers_fault(
    executor: ModelExecutor,
) -> None:
    def refuse(_: Batch) -> None:
        raise OutOfMemory("no memory")

    rows = await fan_out_of(executor, ScriptedSession("a", before=refuse)).run(
        [sequence(2), sequence(3)], 0
    )

    assert [type(output.error) for (output,) in rows] == [OutOfMemory] * 2


async def test_a_member_that_fails_on_the_canary_too_is_the_workers_fault(
    executor: ModelExecutor,
) -> None:
    members = [ScriptedSession("a", before=refuse_all), ScriptedSession("b")]

    rows = await fan_out_of(executor, *members).run([sequence(2), sequence(3)], 0)

    assert statuses(rows) == [["failed", "ok"]] * 2
    for broken, _ in rows:
        assert isinstance(broken.error, WorkerFault)
        assert str(broken.error) == "member a fails on everything: broken"


async def test_a_bug_in_a_call_is_met_by_its_sequence_alone_and_quotes_nothing(
    executor: ModelExecutor,
) -> None:
    def raise_on_poison(batch: Batch) -> None:
        if (batch.ids == POISON).any():
            raise KeyError("a user's text")

    member = ScriptedSession("a", before=raise_on_poison)

    rows = await fan_out_of(executor, member).run([sequence(2), sequence(POISON), sequence(3)], 0)

    assert statuses(rows) == [["ok"], ["failed"], ["ok"]]
    assert str(rows[1][0].error) == "member a: KeyError in its call"


async def test_each_sequence_that_a_member_has_no_result_for_is_counted(
    executor: ModelExecutor,
) -> None:
    metrics = Metrics()
    members = [ScriptedSession("a", before=refuse_poison), ScriptedSession("b")]
    fan_out = fan_out_of(executor, *members, metrics=metrics)

    rows = await fan_out.run([sequence(2), sequence(POISON), sequence(3), sequence(POISON, 4)], 0)

    errors = [(out.member, str(out.error)) for row in rows for out in row if out.error is not None]
    assert errors == [("a", "member a: poison")] * 2
    assert [failures(metrics, member, "failed") for member in "ab"] == [2, 0]
    assert [failures(metrics, member, "late") for member in "ab"] == [0, 0]


class Counting:
    """A member that answers with an array of another length."""

    name = "a"

    def run(self, batch: Batch, _: Any) -> FloatArray:
        return np.zeros((len(batch.ids) + 1, 2))


async def test_a_member_that_gives_another_number_of_rows_is_at_fault(
    executor: ModelExecutor,
) -> None:
    ((output,),) = await fan_out_of(executor, Counting()).run([sequence(2)], 0)

    assert isinstance(output.error, WorkerFault)
    assert "2 rows for 1 sequences" in str(output.error)


async def test_a_stalled_member_is_late_not_asked_meanwhile_and_asked_again_once_it_returns(
    executor: ModelExecutor,
) -> None:
    release, returned = threading.Event(), threading.Event()

    def stall(_: Batch) -> None:
        if not release.is_set():
            assert release.wait(10)
            returned.set()

    seen = Recorder(stall)
    members = [ScriptedSession("a", before=seen), ScriptedSession("b")]
    fan_out = fan_out_of(executor, *members, call_timeout_s=0.05)

    rows = await fan_out.run([sequence(2), sequence(3)], 0)
    assert statuses(rows) == [["late", "ok"]] * 2
    assert "longer than 0.05 s" in str(rows[0][0].error)

    for _ in range(5):
        rows = await fan_out.run([sequence(4)], 0)
        assert statuses(rows) == [["late", "ok"]]
    assert "has not returned" in str(rows[0][0].error)
    assert seen.batches == [[2, 3]]

    release.set()
    assert returned.wait(10)
    for _ in range(100):
        rows = await fan_out.run([sequence(5)], 0)
        if statuses(rows) == [["ok", "ok"]]:
            break
    assert statuses(rows) == [["ok", "ok"]]


async def test_a_late_call_is_told_to_end(executor: ModelExecutor) -> None:
    class Obedient:
        name = "a"
        ended = threading.Event()

        def run(self, batch: Batch, call: Any) -> FloatArray:
            for _ in range(10_000):
                if call.terminate:
                    self.ended.set()
                    raise MemberFailed("a", "told to end")
                threading.Event().wait(0.001)
            return np.zeros((len(batch.ids), 2))

    rows = await fan_out_of(executor, Obedient(), call_timeout_s=0.02).run([sequence(2)], 0)

    assert statuses(rows) == [["late"]]
    assert Obedient.ended.wait(10)


async def test_a_member_that_is_late_again_and_again_is_left_out_and_taken_back(
    executor: ModelExecutor,
) -> None:
    slow = threading.Event()
    slow.set()

    def stall(_: Batch) -> None:
        if slow.is_set():
            threading.Event().wait(0.1)

    seen, metrics = Recorder(stall), Metrics()
    members = [ScriptedSession("a", before=seen), ScriptedSession("b")]
    fan_out = fan_out_of(executor, *members, call_timeout_s=0.05, metrics=metrics)

    def circuit_open() -> float | None:
        labels = {"ensemble": "tiny", "member": "a"}
        return metrics.registry.get_sample_value("streamproc_member_circuit_open", labels)

    while not circuit_open():
        assert statuses(await fan_out.run([sequence(2)], 0)) == [["late", "ok"]]
    called = [batch for batch in seen.batches if batch != [CANARY]]
    for _ in range(50):
        ((left_out, _),) = await fan_out.run([sequence(3)], 0)
        assert str(left_out.error) == "member a is left out: it was late 3 times in a row"
        assert left_out.status == "late"
    assert [batch for batch in seen.batches if batch != [CANARY]] == called == [[2]] * 3

    slow.clear()
    async with asyncio.timeout(10):
        while circuit_open():
            await fan_out.run([sequence(4)], 0)
            await asyncio.sleep(0.01)
    assert statuses(await fan_out.run([sequence(5)], 0)) == [["ok", "ok"]]
    assert seen.batches[-1] == [5]


async def test_a_member_that_fails_on_everything_is_tried_on_its_canary_alone(
    executor: ModelExecutor,
) -> None:
    broken = True

    def fail(_: Batch) -> None:
        if broken:
            raise MemberFailed("a", "broken")

    seen = Recorder(fail)
    clock = ManualClock()
    fan_out = fan_out_of(executor, ScriptedSession("a", before=seen), clock=clock)
    await fan_out.run([sequence(2), sequence(3)], 0)
    seen.batches.clear()

    for _ in range(20):
        rows = await fan_out.run([sequence(4)], 0)
        assert isinstance(rows[0][0].error, WorkerFault)
    assert seen.batches == [[CANARY]]
    broken = False
    clock.advance(1)

    # Who finds that it is time to try waits for the outcome, and is answered.
    assert statuses(await fan_out.run([sequence(5)], 0)) == [["ok"]]
    assert seen.batches == [[CANARY], [CANARY], [5]]
