"""What is shown of a text while it is written is a beginning of what it comes to, whatever comes.

The measure is: decode everything that was written, and cut it before the first stop string.
"""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamproc.serving.decoding.detokenizing import INCOMPLETE, continuation
from streamproc.serving.decoding.settled_text import SettledText
from streamproc.serving.decoding.stopping_criteria import StopStrings, cut_before
from tests.support.tokenizer_families import family

WRITERS = (
    "T5: unigram, metaspace always",
    "Llama-2: byte fallback, prepend",
    "Llama: byte fallback, metaspace first",
    "Gemma: byte fallback, split at spaces",
    "GPT-2: byte-level",
    "byte-level without a pattern",
)
TEXTS = st.lists(
    st.sampled_from(
        ["the ", "thes", " a", ".", " ", "你", "好", "再见", "🙂", "🎉", "привет", "é", "ครับ", "\n"]
    ),
    max_size=40,
).map("".join)
STOPS = st.lists(st.text("the s.你好", min_size=1, max_size=6), max_size=3)


def shown(name: str, prompt: list[int], tokens: list[int], stops: list[str]) -> tuple[str, str]:
    """What was shown before the last token that counts, and the text that all of it comes to."""
    tokenizer = family(name)
    stop = StopStrings(stops, tokenizer.decode, prompt)
    settled = SettledText(tokenizer.decode, tokenizer.ends_bytes, prompt, stops)
    parts, count = [], 0
    for token in tokens:
        count += 1
        if stop.reached(token):
            break
        parts.append(settled.add(token))
    whole = continuation(tokenizer.decode, prompt, tokens[:count])
    return "".join(parts), cut_before(whole, stops)


@pytest.mark.parametrize("name", WRITERS)
@given(prompt=TEXTS, written=TEXTS, stops=STOPS)
@example(prompt="abc", written="你好吗你好吗再见 end", stops=["再见", "再"])
def test_what_is_shown_of_a_text_is_its_beginning(
    name: str, prompt: str, written: str, stops: list[str]
) -> None:
    tokenizer = family(name)
    before = tokenizer.encode(prompt).ids.tolist()
    tokens = tokenizer.encode(prompt + written).ids.tolist()[len(before) :]

    text, whole = shown(name, before, tokens, stops)

    assert whole.startswith(text)


@pytest.mark.parametrize("name", WRITERS)
@given(data=st.data(), stops=STOPS)
def test_so_it_is_of_tokens_that_no_text_has(
    name: str, data: st.DataObject, stops: list[str]
) -> None:
    token = st.integers(0, family(name).vocabulary_size - 1)
    prompt, tokens = data.draw(TEXTS), data.draw(st.lists(token, max_size=60))

    text, whole = shown(name, family(name).encode(prompt).ids.tolist(), tokens, stops)

    assert whole.startswith(text)


@pytest.mark.parametrize("name", WRITERS)
@given(prompt=TEXTS, written=TEXTS)
def test_all_is_shown_but_a_character_that_is_not_whole_and_bytes_that_may_go_on(
    name: str, prompt: str, written: str
) -> None:
    tokenizer = family(name)
    before = tokenizer.encode(prompt).ids.tolist()
    tokens = tokenizer.encode(prompt + written).ids.tolist()[len(before) :]
    done = list(tokens)
    while done and not tokenizer.ends_bytes(done[-1]):
        done.pop()

    text, _ = shown(name, before, tokens, [])

    assert text == continuation(tokenizer.decode, before, done).rstrip(INCOMPLETE)


def test_what_a_stop_string_may_begin_with_is_held_until_it_is_none() -> None:
    tokenizer = family("GPT-2: byte-level")
    settled = SettledText(tokenizer.decode, tokenizer.ends_bytes, [], ["\n\nUser:"])

    parts = [settled.add(token) for token in tokenizer.encode("Yes.\n\nUs.").ids.tolist()]

    assert "".join(parts) == "Yes.\n\nUs."
    assert not any(part.endswith(("\n", "\nU", "\nUs")) for part in parts)
