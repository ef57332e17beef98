from __future__ import annotations

from collections.abc import Sequence

import pytest

from streamproc.serving.decoding.detokenizing import continuation
from streamproc.serving.decoding.stopping_criteria import StopStrings, cut_before
from streamproc.testing.generative import build_byte_tokenizer
from tests.support.tokenizer_families import family

TOKENIZER = build_byte_tokenizer()


def ids(text: str) -> list[int]:
    return [token for tokens in TOKENIZER.stream(text) for token in tokens.ids.tolist()]


def stops_after(written: str, *strings: str, prompt: str = "") -> str | None:
    """What was written once a stop string was noticed; None when none was."""
    stop = StopStrings(strings, TOKENIZER.decode, ids(prompt))
    tokens = ids(written)
    for count, token in enumerate(tokens, 1):
        if stop.reached(token):
            return TOKENIZER.decode(tokens[:count])
    return None


def test_a_stop_string_is_noticed_as_soon_as_it_is_whole() -> None:
    assert stops_after("one two three", "wo t") == "one two t"


def test_the_first_of_several_is_noticed() -> None:
    assert stops_after("one two three", "three", "ne") == "one"


def test_a_text_without_one_goes_on() -> None:
    assert stops_after("one two three", "four", "onetwo") is None
    assert stops_after("one two three") is None


@pytest.mark.parametrize("string", ["🎉", "é🎉", "中", "e\u0301", "👩‍👩‍👧"])
def test_characters_of_several_tokens_are_noticed_when_the_last_has_come(string: str) -> None:
    assert stops_after(f"é before {string} after", string) == f"é before {string}"


def test_a_stop_string_before_a_character_that_has_begun_is_noticed_at_once() -> None:
    """A token may end one word and begin a character, as " " and half of an emoji."""
    pieces = [b"one", b".", " \N{PARTY POPPER}".encode()[:3]]

    def decode(tokens: Sequence[int]) -> str:
        return b"".join(pieces[token] for token in tokens).decode(errors="replace")

    stop = StopStrings([". "], decode, [])

    assert [stop.reached(token) for token in range(3)] == [False, False, True]


def test_a_character_that_has_only_begun_is_no_stop_string() -> None:
    assert stops_after("é🎉", "\ufffd") is None


def test_a_stop_string_that_begins_in_the_prompt_is_not_one() -> None:
    assert stops_after("d. More", "end.", prompt="the en") is None


def test_a_stop_string_of_the_greatest_length_is_noticed_however_far_the_text_has_come() -> None:
    string = "ab" * 512
    assert stops_after("x" * 3000 + string + "tail", string) == "x" * 3000 + string


def test_bytes_that_never_become_a_character_do_not_hide_what_follows() -> None:
    stop = StopStrings(["end"], TOKENIZER.decode, [])
    lone = ids("é")[:1]

    assert not any(stop.reached(token) for token in lone * 50)
    assert [stop.reached(token) for token in ids("end")] == [False, False, True]


def test_little_is_decoded_again_at_every_step() -> None:
    lengths: list[int] = []

    def decode(tokens: Sequence[int]) -> str:
        lengths.append(len(tokens))
        return TOKENIZER.decode(tokens)

    stop = StopStrings(["z" * 1024], decode, ids("prompt " * 50))
    for token in ids("é text without its like " * 50):
        stop.reached(token)

    assert max(lengths) < 24


def test_a_text_is_cut_before_the_first_stop_string_in_it() -> None:
    assert cut_before("one two one", ["two", "one t", "x"]) == ""
    assert cut_before("one two", ["two"]) == "one "
    assert cut_before("one two", []) == "one two"


def of_llama(text: str) -> list[int]:
    return [int(token) for token in family("Llama-2: byte fallback, prepend").encode(text).ids]


@pytest.mark.parametrize(
    ("prompt", "written", "string"),
    [
        ("abc", "你好吗你好吗再见 end", "再见"),
        ("你好吗你好吗", "再见。了了了", "。"),
        ("hello", "🙂🙂🎉 more text", "🎉"),
        ("ok", " привет. мир", ". "),
        ("สวัสดี", "สวัสดีครับ end", "ครับ"),
    ],
)
def test_a_stop_string_that_ends_inside_a_run_of_byte_tokens_is_noticed(
    prompt: str, written: str, string: str
) -> None:
    decode = family("Llama-2: byte fallback, prepend").decode
    before, everything = of_llama(prompt), of_llama(prompt + written)
    tokens = everything[len(before) :]
    stop = StopStrings([string], decode, before)

    count = next(count for count, token in enumerate(tokens, 1) if stop.reached(token))

    text = continuation(decode, before, tokens[:count])
    assert text.endswith(string)
    assert cut_before(text, [string]) == written[: written.index(string)]


def test_a_text_that_ends_inside_a_character_keeps_those_before_it() -> None:
    decode = family("Llama-2: byte fallback, prepend").decode
    before, tokens = of_llama("abc 你好"), of_llama("吗再见")[1:-1]

    assert continuation(decode, before, tokens) == "吗再\ufffd"
    # A prompt that was cut inside a character leaves it to what is written.
    assert continuation(decode, before[:-1], [before[-1], *tokens[:3]]) == "好吗"


def test_what_is_no_character_is_written_as_the_decoder_has_it() -> None:
    lone = ids("é")[:1]
    spoilt = ids("a\ufffd")

    assert continuation(TOKENIZER.decode, ids("b"), [*ids("a"), *lone * 3]) == "a" + "\ufffd" * 3
    assert continuation(TOKENIZER.decode, spoilt, ids("c")) == "c"
