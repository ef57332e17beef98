"""Parts of a text, put together, are the text that the response has; which is as without parts."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.testing import MemoryBroker, build_pipeline, build_record, build_route
from streamproc.testing.generative import build_decoding_engine, build_decoding_spec
from tests.support.awkward_texts import TEXTS
from tests.support.streamed import REPLIES, TO_REPLIES, Streamed, streamed, text_of
from tests.support.translators import build_translating_engine, build_translators

STOPS = st.lists(st.text("ab.é�\x00 0", min_size=1, max_size=3), max_size=4)


def asked(engine: Any, task: str, text: str, params: dict[str, Any]) -> tuple[Streamed, Streamed]:
    """With parts and without."""

    async def ask() -> tuple[Streamed, Streamed]:
        found = []
        for stream in (True, False):
            broker = MemoryBroker()
            route = build_route(task=task, reply_topics=[REPLIES])
            request = {"text": text, "params": {**params, "stream": stream}}
            await build_pipeline(broker, engine(), route=route)(
                build_record(request, headers=TO_REPLIES)
            )
            found.append(streamed(broker))
        return found[0], found[1]

    return asyncio.run(ask())


def assert_the_parts_are_the_text(with_parts: Streamed, without: Streamed) -> None:
    assert with_parts.response["result"] == without.response["result"]
    assert not without.parts
    text = text_of(with_parts.response)
    assert (with_parts.text if with_parts.parts else "") == text
    assert all(part["text"] for part in with_parts.parts)


@given(
    text=st.text(min_size=1, max_size=6),
    stop=STOPS,
    seed=st.integers(0, 99),
    new=st.integers(1, 40),
    full=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_parts_of_a_generated_text_are_that_text(
    text: str, stop: list[str], seed: int, new: int, full: bool
) -> None:
    def engine() -> Any:
        return build_decoding_engine(build_decoding_spec(max_tokens=128))

    params = {"max_new_tokens": new, "stop": stop, "do_sample": True, "seed": seed}
    params["return_full_text"] = full
    assert_the_parts_are_the_text(*asked(engine, "text-generation", text, params))


@given(text=TEXTS, beams=st.integers(1, 2))
@settings(max_examples=30, deadline=None)
def test_parts_of_a_translation_are_that_translation(text: str, beams: int) -> None:
    def engine() -> Any:
        return build_translating_engine(build_translators(["a"]))

    assert_the_parts_are_the_text(*asked(engine, "translation", text, {"num_beams": beams}))
