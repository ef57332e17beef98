from __future__ import annotations

import pytest

from benchmarks.generating import Load, Writing, beside, under_load
from benchmarks.latencies import Latencies
from streamproc.errors import Invalid
from streamproc.messages.lane import Lane
from streamproc.serving.engine import Engine
from streamproc.testing.generative import (
    Histories,
    ScriptedStepModel,
    build_byte_tokenizer,
    build_decoding_engine,
    build_decoding_spec,
)

TOKENIZER = build_byte_tokenizer()
VOCABULARY = TOKENIZER.vocabulary_size
PROFILE = build_decoding_spec(["a"], max_tokens=64)


def engine_of(model: ScriptedStepModel) -> Engine:
    return build_decoding_engine(PROFILE, [model])


async def test_no_more_requests_are_in_the_works_than_said_and_all_write_as_much() -> None:
    rows_at_once: list[int] = []
    engine = engine_of(
        ScriptedStepModel("a", VOCABULARY, lambda rows: rows_at_once.append(len(rows)))
    )

    load = await under_load(engine, [Writing(f"{n} prompt", 5) for n in range(9)], 3)

    assert max(rows_at_once) <= 3
    assert len(load.texts) == load.first_token.requests == 9
    assert (
        load.texts
        == (await under_load(engine, [Writing(f"{n} prompt", 5) for n in range(9)], 9)).texts
    )


async def test_long_requests_that_cannot_be_written_are_not_passed_over() -> None:
    engine = engine_of(ScriptedStepModel("a", VOCABULARY))

    with pytest.raises(Invalid, match="max_new_tokens"):
        await beside(engine, [Writing("s", 2)], [Writing("long", 64)], Lane.BULK)


async def test_short_requests_begin_once_all_long_ones_are_being_written() -> None:
    started: set[int] = set()
    long_started: list[int] = []
    short_token = int(TOKENIZER.encode("s").ids[0])

    def note(rows: Histories) -> None:
        firsts = {row[0] for row in rows}
        if short_token in firsts:
            long_started.append(len(started))
        started.update(firsts - {short_token})

    engine = engine_of(ScriptedStepModel("a", VOCABULARY, note))
    long = [Writing(f"{number} long", 40) for number in range(3)]

    found = await beside(engine, [Writing("short", 2)] * 4, long, Lane.INTERACTIVE)

    assert found.requests == 4
    assert set(long_started) == {3}


def test_rounds_come_to_their_median_and_all_their_first_tokens() -> None:
    rounds = [
        Load(8, tokens_per_s, 1.0, Latencies.of([first_ms]), ("text",))
        for tokens_per_s, first_ms in ((10.0, 5.0), (90.0, 7.0), (20.0, 6.0))
    ]

    load = Load.over(rounds)

    assert (load.at_once, load.tokens_per_s) == (8, 20.0)
    assert load.first_token.series_ms == (5.0, 7.0, 6.0)
