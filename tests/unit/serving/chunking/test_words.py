from __future__ import annotations

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import BPE, Unigram
from tokenizers.pre_tokenizers import ByteLevel

from streamproc.serving.chunking.tokens import TextTokenizer, Tokens
from streamproc.serving.chunking.words import continuations
from streamproc.testing import build_tokenizer


def byte_level_tokenizer() -> TextTokenizer:
    """One token a byte; a space belongs to the word after it."""
    vocabulary = {byte: number for number, byte in enumerate(sorted(ByteLevel.alphabet()))}
    library = Tokenizer(BPE(vocabulary, []))
    library.pre_tokenizer = ByteLevel(add_prefix_space=False)
    return TextTokenizer(library.to_str().encode())


def found(tokenizer: TextTokenizer, text: str) -> list[tuple[str, bool]]:
    """Each token's text, and whether it continues a word."""
    (tokens,) = tokenizer.stream(text)
    spans = tokens.offsets.tolist()
    told = continuations(tokenizer, text, tokens)
    return [(text[start:end], on) for (start, end), on in zip(spans, told, strict=True)]


def test_a_marked_token_continues_its_word() -> None:
    assert found(build_tokenizer(), "the fit, 'good'") == [
        ("the", False), ("f", False), ("i", True), ("t", True), (",", False), ("'", False),
        ("good", False), ("'", False),
    ]  # fmt: skip


def test_an_unknown_token_continues_nothing() -> None:
    assert found(build_tokenizer(), "fit 文字 the") == [
        ("f", False), ("i", True), ("t", True), ("文", False), ("字", False), ("the", False),
    ]  # fmt: skip


def test_a_word_that_is_spelt_shorter_than_its_text_is_believed_to_continue_one() -> None:
    """An oddity of transformers: the tokenizer drops the zero-width space within "good"."""
    assert found(build_tokenizer(), "the go\u200bod") == [("the", False), ("go\u200bod", True)]


def test_without_marks_a_word_ends_at_a_space_and_nowhere_else() -> None:
    assert found(byte_level_tokenizer(), "a, b") == [
        ("a", False), (",", True), (" ", False), ("b", False)
    ]  # fmt: skip


def test_characters_of_several_bytes_are_several_tokens_of_one_word() -> None:
    assert found(byte_level_tokenizer(), "aé") == [("a", False), ("é", True), ("é", True)]


def test_a_text_without_tokens_has_no_words() -> None:
    nothing = Tokens(np.empty(0, np.int64), np.empty((0, 2), np.int64))

    assert continuations(build_tokenizer(), "", nothing) == []


@pytest.mark.parametrize(
    ("tokenizer", "marks", "unknown"),
    [
        (build_tokenizer(), True, 1),
        (byte_level_tokenizer(), False, None),
        (
            TextTokenizer(Tokenizer(Unigram([("a", -1.0), ("<u>", 0.0)], 1)).to_str().encode()),
            False,
            1,
        ),
    ],
)
def test_what_a_tokenizer_marks_is_read_from_its_file(
    tokenizer: TextTokenizer, marks: bool, unknown: int | None
) -> None:
    assert (tokenizer.marks_continuations, tokenizer.unknown_id) == (marks, unknown)


def test_a_token_is_spelt_as_in_the_vocabulary() -> None:
    tokenizer = build_tokenizer()

    assert tokenizer.spelling(4) == "good"
    assert tokenizer.spelling(tokenizer.vocabulary_size) == ""
