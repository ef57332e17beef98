"""What a sequence is continued by depends on nothing but itself and its members."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.messages.lane import Lane
from streamproc.serving.decoding.kv_cache_budget import KVCacheLimits
from streamproc.serving.engine import Engine
from streamproc.testing import build_context
from streamproc.testing.generative import (
    ScriptedStepModel,
    build_byte_tokenizer,
    build_decoding_engine,
    build_decoding_spec,
)
from tests.support.asking import answered

VOCABULARY = build_byte_tokenizer().vocabulary_size

PARAMS = st.fixed_dictionaries(
    {},
    optional={
        "max_new_tokens": st.integers(1, 20),
        "repetition_penalty": st.sampled_from([0.8, 1.5]),
        "no_repeat_ngram_size": st.integers(0, 3),
        "stop": st.lists(st.text("ab1\x00", min_size=1, max_size=2), max_size=3),
        "next_tokens": st.integers(1, 5),
        "return_members": st.booleans(),
    },
) | st.fixed_dictionaries(
    {"do_sample": st.just(True)},
    optional={
        "max_new_tokens": st.integers(1, 20),
        "temperature": st.floats(0.1, 5),
        "top_k": st.integers(0, 300),
        "top_p": st.floats(0.05, 1),
        "seed": st.integers(0, 2**63 - 1),
    },
)
REQUESTS = st.lists(
    st.tuples(st.text(min_size=1, max_size=6), PARAMS, st.sampled_from(Lane), st.integers(0, 5)),
    min_size=1,
    max_size=10,
)


def engine_of(names: Sequence[str], *, copies: bool = False, max_rows: int = 32) -> Engine:
    return build_decoding_engine(
        build_decoding_spec(list(names)),
        [ScriptedStepModel("a" if copies else name, VOCABULARY) for name in names],
        context=build_context(kv_cache=KVCacheLimits(max_rows)),
    )


async def in_turn(engine: Engine, requests: Any) -> list[Any]:
    return [(await answered(engine, text, **params)).result for text, params, _, _ in requests]


@settings(max_examples=25)
@given(REQUESTS, st.integers(1, 4))
def test_an_answer_is_the_same_alone_and_where_sequences_join_and_leave(
    requests: Any, max_rows: int
) -> None:
    async def at_once(engine: Engine) -> list[Any]:
        async def ask(text: str, params: Any, lane: Lane, turns: int) -> Any:
            await asyncio.sleep(turns / 1000)
            return (await answered(engine, text, lane, **params)).result

        return await asyncio.gather(*(ask(*request) for request in requests))

    crowded = asyncio.run(at_once(engine_of("abc", max_rows=max_rows)))

    assert crowded == asyncio.run(in_turn(engine_of("abc"), requests))


@settings(max_examples=25)
@given(REQUESTS, st.permutations("abcd"), st.sampled_from(["mean", "logit_mean"]))
def test_members_in_any_order_write_the_same(requests: Any, order: Any, combine: str) -> None:
    asked = [
        (text, {**params, "combine": combine, "return_members": False}, lane, turns)
        for text, params, lane, turns in requests
    ]

    assert asyncio.run(in_turn(engine_of(order), asked)) == asyncio.run(
        in_turn(engine_of("abcd"), asked)
    )


@settings(max_examples=25)
@given(REQUESTS, st.integers(2, 4))
def test_copies_of_a_member_write_what_it_writes(requests: Any, copies: int) -> None:
    def text_of(result: Any) -> Any:
        return result["generated_text"], result["finish_reason"]

    one = asyncio.run(in_turn(engine_of("a"), requests))
    many = asyncio.run(in_turn(engine_of("abcd"[:copies], copies=True), requests))

    assert list(map(text_of, many)) == list(map(text_of, one))
    for ours, theirs in zip(many, one, strict=True):
        odds, expected = (
            [token["probability"] for token in result.get("next_tokens", ())]
            for result in (ours, theirs)
        )
        np.testing.assert_allclose(odds, expected, rtol=1e-12)
