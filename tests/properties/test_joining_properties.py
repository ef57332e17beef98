"""Tokens of a text that is tokenized a piece at a time are those of the whole text, and lie where
they lie there, whatever the tokenizer makes of a piece's edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from streamproc.serving.chunking.joining import Piece, joined_pieces
from tests.support.awkward_texts import AWKWARD
from tests.support.tokenizer_families import FAMILIES

SIZE, OVERLAP = 64, 48
# Short of what a piece may grow to at most: beyond it a text is cut however its tokens lie.
LONGEST = 8 * SIZE
LIBRARY = {name: make() for name, make in FAMILIES.items()}
WORDS = st.sampled_from(
    [
        "the",
        " ",
        " the",
        "requests",
        ".",
        "\n",
        "  ",
        "东京是",
        "日本的首都",
        "é",
        "🙂",
        "aaaa",
        "x",
    ]
)
TEXTS = st.lists(st.one_of(WORDS, AWKWARD), max_size=120).map(lambda all_: "".join(all_)[:LONGEST])


def encoded(tokenizer: Tokenizer, text: str) -> Piece:
    return Piece(tokenizer.encode(text, add_special_tokens=False), 0, len(text))


@pytest.mark.parametrize("name", FAMILIES)
@given(text=TEXTS)
@example(text="the requests\nthe responses " * 18)
@example(text="东京是日本的首都人口很多" * 40)
@example(text="a" * 500)
@example(text=" " * 500)
def test_tokens_are_those_of_the_whole_text(name: str, text: str) -> None:
    tokenizer = LIBRARY[name]

    def encode(part: str) -> object:
        return tokenizer.encode(part, add_special_tokens=False)

    whole = encoded(tokenizer, text)
    parts = list(joined_pieces(encode, text, SIZE, OVERLAP))

    ids = np.concatenate([piece.ids[kept] for piece, kept in parts])
    offsets = np.concatenate([piece.offsets[kept] for piece, kept in parts])
    assert ids.tolist() == whole.ids.tolist()
    assert offsets.tolist() == whole.offsets.tolist()


@pytest.mark.parametrize("name", FAMILIES)
@given(text=TEXTS, start=st.integers(0, 100))
def test_one_tokens_offsets_are_those_among_all(name: str, text: str, start: int) -> None:
    encoding = LIBRARY[name].encode(text, add_special_tokens=False)
    piece = Piece(encoding, start, start + len(text))

    found = [list(piece.span(token)) for token in range(len(piece.ids))]
    assert found == piece.offsets.tolist()


@pytest.mark.parametrize("name", FAMILIES)
def test_an_ordinary_text_is_tokenized_in_pieces_of_the_same_length(name: str) -> None:
    tokenizer = LIBRARY[name]
    lengths: list[int] = []

    def encode(part: str) -> object:
        lengths.append(len(part))
        return tokenizer.encode(part, add_special_tokens=False)

    parts = list(joined_pieces(encode, "the quick brown fox, 东京是. " * 400, 256, 64))

    assert max(lengths) == 256
    assert len(parts) == len(lengths)


@pytest.mark.parametrize("name", FAMILIES)
@given(text=st.sampled_from("a x東").map(lambda letter: letter * 9 * LONGEST))
def test_no_text_makes_a_piece_grow_without_end(name: str, text: str) -> None:
    tokenizer = LIBRARY[name]
    lengths: list[int] = []

    def encode(part: str) -> object:
        lengths.append(len(part))
        return tokenizer.encode(part, add_special_tokens=False)

    parts = list(joined_pieces(encode, text, SIZE, OVERLAP))

    assert max(lengths) <= LONGEST
    offsets = np.concatenate([piece.offsets[kept] for piece, kept in parts])
    assert np.array_equal(offsets, np.sort(offsets, axis=0))
