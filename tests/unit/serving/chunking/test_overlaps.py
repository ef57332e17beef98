from __future__ import annotations

import pytest

from streamproc.serving.chunking.overlaps import content, deepest, tokens_before
from streamproc.serving.chunking.windows import Window, windows
from streamproc.testing import build_tokenizer

TOKENIZER = build_tokenizer()


@pytest.mark.parametrize("overlap", range(5))
@pytest.mark.parametrize("words", [1, 6, 7, 8, 12, 30, 31])
def test_every_token_counts_once_and_where_it_is_furthest_from_a_cut(
    words: int, overlap: int
) -> None:
    text, window = "good " * words, Window(8, overlap)
    chunks = list(windows(TOKENIZER.stream(text), TOKENIZER.frame, window, len(text)))
    places = []
    depths: dict[int, list[int]] = {}
    for chunk in chunks:
        first = tokens_before(chunk, TOKENIZER.frame, window)
        assert content(chunk, TOKENIZER.frame).offsets[0, 0] == 5 * first
        counted = deepest(chunk, window, is_final=chunk.is_last)
        places += [(first + n, len(chunks), chunk.index) for n in range(30)[counted]]
        for n in range(chunk.content_tokens):
            left = n if chunk.index else words
            right = words if chunk.is_last else chunk.content_tokens - 1 - n
            depths.setdefault(first + n, []).append(min(left, right))

    assert [place for place, _, _ in places] == list(range(words))
    for place, _, index in places:
        seen_by = [
            chunk.index
            for chunk in chunks
            if 0 <= place - tokens_before(chunk, TOKENIZER.frame, window) < chunk.content_tokens
        ]
        best = max(depths[place])
        assert index == seen_by[depths[place].index(best)]


def test_where_no_window_follows_the_whole_window_counts() -> None:
    text, window = "good " * 30, Window(8, 4)
    first = next(windows(TOKENIZER.stream(text), TOKENIZER.frame, window, len(text)))

    assert deepest(first, window, is_final=True) == slice(0, 6)
    assert deepest(first, window, is_final=False) == slice(0, 4)


def test_a_text_without_tokens_has_nothing_that_counts() -> None:
    (chunk,) = windows(TOKENIZER.stream(""), TOKENIZER.frame, Window(8, 4), 0)

    assert deepest(chunk, Window(8, 4), is_final=True) == slice(0, 0)
    assert len(content(chunk, TOKENIZER.frame)) == 0
