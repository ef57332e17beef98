"""A stop string is noticed with the first token that makes it whole, whatever tokens are made of.

The measure is: decode everything that was written, and look for it.
"""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamproc.serving.decoding.detokenizing import INCOMPLETE, continuation
from streamproc.serving.decoding.stopping_criteria import StopStrings, cut_before
from tests.support.tokenizer_families import family

WRITERS = (
    "T5: unigram, metaspace always",
    "Llama-2: byte fallback, prepend",
    "Llama: byte fallback, metaspace first",
    "GPT-2: byte-level",
    "byte-level without a pattern",
)
TEXTS = st.lists(
    st.sampled_from(
        ["the ", "thes", " a", ".", " ", "你", "好", "再见", "🙂", "🎉", "привет", "é", "ครับ", "\n"]
    ),
    max_size=14,
).map("".join)


def first_whole(name: str, prompt: list[int], tokens: list[int], stops: list[str]) -> int | None:
    decode = family(name).decode
    for count in range(1, len(tokens) + 1):
        text = continuation(decode, prompt, tokens[:count])
        if any(stop in text for stop in stops):
            return count
    return None


def noticed(name: str, prompt: list[int], tokens: list[int], stops: list[str]) -> int | None:
    stop = StopStrings(stops, family(name).decode, prompt)
    return next((count for count, token in enumerate(tokens, 1) if stop.reached(token)), None)


@pytest.mark.parametrize("name", WRITERS)
@given(prompt=TEXTS, written=TEXTS, data=st.data())
@example(prompt="abc", written="你好吗你好吗再见 end", data=None)
def test_a_stop_string_is_noticed_where_it_is_and_the_text_cut_before_it(
    name: str, prompt: str, written: str, data: st.DataObject | None
) -> None:
    tokenizer = family(name)
    before = tokenizer.encode(prompt).ids.tolist()
    tokens = tokenizer.encode(prompt + written).ids.tolist()[len(before) :]
    text = continuation(tokenizer.decode, before, tokens)
    stops = ["再见"]
    if data is not None and text.strip(INCOMPLETE):
        start = data.draw(st.integers(0, len(text) - 1))
        stops = [text[start : start + data.draw(st.integers(1, 9))].replace(INCOMPLETE, "") or "."]

    count = noticed(name, before, tokens, stops)

    assert count == first_whole(name, before, tokens, stops)
    if count is not None:
        cut = cut_before(continuation(tokenizer.decode, before, tokens[:count]), stops)
        assert text.startswith(cut)
        assert not any(stop in cut for stop in stops)


@pytest.mark.parametrize("name", WRITERS)
@given(data=st.data(), stops=st.lists(TEXTS.filter(bool), min_size=1, max_size=3))
def test_whatever_is_written_what_is_noticed_is_in_the_text(
    name: str, data: st.DataObject, stops: list[str]
) -> None:
    token = st.integers(0, family(name).vocabulary_size - 1)
    prompt, tokens = data.draw(st.lists(token, max_size=30)), data.draw(st.lists(token))

    assert noticed(name, prompt, tokens, stops) == first_whole(name, prompt, tokens, stops)


@pytest.mark.parametrize("name", WRITERS)
@given(text=TEXTS)
def test_text_comes_out_character_by_character_as_it_would_at_once(name: str, text: str) -> None:
    tokenizer = family(name)
    tokens = tokenizer.encode("the " + text).ids.tolist()

    for cut in range(1, len(tokens) + 1):
        parts = continuation(tokenizer.decode, tokens[:cut], tokens[cut:])
        begun = continuation(tokenizer.decode, [], tokens[:cut]).rstrip(INCOMPLETE)
        assert begun + parts == tokenizer.decode(tokens)
