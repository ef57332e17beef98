"""What an operator sees of an ensemble that writes text."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from streamproc.errors import MemberFailed
from streamproc.messages.lane import Lane
from streamproc.metrics import Metrics
from streamproc.serving.decoding.beams import BeamOptions, BeamSearch
from streamproc.serving.decoding.kv_cache_budget import KVCacheLimits
from streamproc.serving.decoding.prompt import Prompt
from streamproc.testing import ManualClock, build_context
from streamproc.testing.generative import (
    Histories,
    build_decoding_engine,
    build_decoding_spec,
)
from tests.support.asking import answered
from tests.support.decoding_scenes import (
    ENSEMBLE,
    POISON,
    Gate,
    Recorder,
    combine,
    decoding,
    evidence,
    model,
    outcomes,
    prompt,
    submitted,
)


def sample(metrics: Metrics, name: str, **labels: str) -> float:
    found = metrics.registry.get_sample_value(
        f"streamproc_{name}", {"ensemble": ENSEMBLE, **labels}
    )
    assert found is not None, f"{name} {labels} is not exported"
    return found


def refuse_poison(rows: Histories) -> None:
    if any(row[0] == POISON and len(row) >= 3 for row in rows):
        raise MemberFailed("a", "poison")


async def test_tokens_read_and_written_are_counted_once_whatever_the_members() -> None:
    metrics = Metrics()

    async with decoding(model("a"), model("b"), metrics=metrics) as loop:
        await outcomes(loop, prompt(5, 6, 7, new=4, members=2), prompt(8, new=2, members=2))

    assert sample(metrics, "tokens_total", kind="read") == 4
    assert sample(metrics, "tokens_total", kind="written") == 6


async def test_rows_a_step_tell_how_full_the_batch_is() -> None:
    metrics, recorder = Metrics(), Recorder()

    async with decoding(model(before=recorder), metrics=metrics) as loop:
        await outcomes(loop, *(prompt(5 + number, new=9) for number in range(3)))

    # Each sequence's first call reads its input; all others are steps.
    assert sample(metrics, "steps_total") == len(recorder.calls) - 3
    assert sample(metrics, "step_rows_total") == sum(map(len, recorder.calls)) - 3 == 3 * 8


async def test_a_beam_is_a_row_but_writes_no_token_of_its_own() -> None:
    metrics = Metrics()
    source = np.array([5], np.int64)
    options = BeamOptions(beams=4, max_new_tokens=5, end_tokens=())
    beams = Prompt(
        source,
        lambda: BeamSearch(options, source),
        evidence,
        combine,
        max_new_tokens=5,
        members=(0,),
        needed_members=1,
        beams=4,
    )

    async with decoding(model(), metrics=metrics) as loop:
        await outcomes(loop, beams)

    assert sample(metrics, "tokens_total", kind="written") == 5
    assert sample(metrics, "step_rows_total") == 4 * 4


async def test_sequences_are_counted_as_they_begin_and_by_how_they_end() -> None:
    metrics, gate = Metrics(), Gate()

    def hold_or_refuse(rows: Histories) -> None:
        refuse_poison(rows)
        if any(row[0] == 7 for row in rows):
            gate(rows)

    async with decoding(model(before=hold_or_refuse), metrics=metrics) as loop:
        ended = [submitted(loop, prompt(first)) for first in (5, POISON)]
        cancelled = submitted(loop, prompt(7))
        await asyncio.gather(*ended, return_exceptions=True)
        await asyncio.to_thread(gate.reached.wait, 20)
        assert sample(metrics, "chunks_total") == 3
        assert sample(metrics, "sequences_total", status="cancelled") == 0
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
        gate.open()

    assert sample(metrics, "chunks_total") == 3
    assert sample(metrics, "sequences_total", status="length") == 1
    assert sample(metrics, "sequences_total", status="failed") == 1
    assert sample(metrics, "sequences_total", status="cancelled") == 1
    assert sample(metrics, "sequences_total", status="stop") == 0


async def test_the_time_to_the_first_token_includes_waiting_for_room() -> None:
    metrics, gate, clock = Metrics(), Gate(), ManualClock()
    one_row = KVCacheLimits(max_rows=1)

    async with decoding(model(before=gate), metrics=metrics, clock=clock, limits=one_row) as loop:
        tasks = [submitted(loop, prompt(5)), submitted(loop, prompt(6))]
        await asyncio.to_thread(gate.reached.wait, 20)
        clock.advance(3)
        gate.open()
        await asyncio.gather(*tasks)

    assert sample(metrics, "first_token_seconds_count", lane="interactive") == 2
    assert sample(metrics, "first_token_seconds_sum", lane="interactive") == 6
    assert sample(metrics, "first_token_seconds_count", lane="bulk") == 0


async def test_a_sequence_without_a_first_token_has_no_time_to_it() -> None:
    metrics = Metrics()

    async with decoding(model(before=refuse_poison), metrics=metrics) as loop:
        await asyncio.gather(
            submitted(loop, prompt(POISON, 5, 6), Lane.BULK), return_exceptions=True
        )

    assert sample(metrics, "first_token_seconds_count", lane="bulk") == 0


@pytest.mark.parametrize(("status", "other"), [("failed", "late"), ("late", "failed")])
async def test_a_members_failures_are_counted_a_sequence_by_member_and_kind(
    status: str, other: str
) -> None:
    metrics, release = Metrics(), threading.Event()

    def trouble(rows: Histories) -> None:
        if status == "failed":
            refuse_poison(rows)
        elif any(row[0] == POISON for row in rows):
            release.wait(20)

    async with decoding(
        model("a", trouble), model("b"), metrics=metrics, call_timeout_s=0.1
    ) as loop:
        await outcomes(loop, prompt(POISON, members=2, needed=1, new=9))
        release.set()

    assert sample(metrics, "member_failures_total", member="a", status=status) == 1
    assert sample(metrics, "member_failures_total", member="a", status=other) == 0
    assert sample(metrics, "member_failures_total", member="b", status=status) == 0


async def test_an_engine_exports_its_figures_under_its_ensembles_name() -> None:
    context = build_context()
    engine = build_decoding_engine(build_decoding_spec(["a"]), context=context)

    await answered(engine, "four", max_new_tokens=3, min_new_tokens=3)

    assert sample(context.metrics, "tokens_total", kind="read") == 4
    assert sample(context.metrics, "tokens_total", kind="written") == 3
    assert sample(context.metrics, "sequences_total", status="length") == 1
    assert sample(context.metrics, "member_failures_total", member="a", status="late") == 0
