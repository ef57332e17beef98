from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.types import Int64Array

pytest.importorskip("torch")

from streamproc.offline.training.windows import Cut, Window, cut, draw, pieces

pytestmark = pytest.mark.train

texts = st.lists(st.integers(0, 70), min_size=1, max_size=12)
sizes = st.integers(6, 40)


def made(tokens: list[int], max_tokens: int, overlap: int) -> Cut:
    """Windows that hold nothing but where they are."""

    def window(example: int, first: int, length: int) -> Window:
        nothing: Int64Array = np.zeros(length, dtype=np.int64)
        return Window(nothing, nothing, nothing, example, first)

    return cut(np.array(tokens), max_tokens, overlap, 2, window)


def where(windows: Cut) -> list[tuple[int, int, int]]:
    return [(window.example, window.first, len(window.ids)) for window in windows]


@given(texts, sizes, st.integers(0, 40))
def test_windows_are_the_pieces_of_each_text_in_order(
    tokens: list[int], max_tokens: int, overlap: int
) -> None:
    overlap = min(overlap, max_tokens - 3)

    windows = made(tokens, max_tokens, overlap)

    expected = [
        (example, piece.start, piece.stop - piece.start + 2)
        for example, count in enumerate(tokens)
        for piece in pieces(count, max_tokens - 2, overlap)
    ]
    assert where(windows) == expected
    assert windows.lengths.tolist() == [length for *_, length in expected]
    assert len(windows) == len(expected)


@given(texts, sizes, st.integers(1, 4), st.integers())
def test_of_each_text_so_many_windows_are_drawn_and_none_twice(
    tokens: list[int], max_tokens: int, most: int, seed: int
) -> None:
    windows = made(tokens, max_tokens, 1)

    drawn = draw(windows, most, random.Random(seed))

    there, chosen = Counter(e for e, *_ in where(windows)), Counter(e for e, *_ in where(drawn))
    assert chosen == {example: min(most, count) for example, count in there.items()}
    assert len(set(where(drawn))) == len(drawn)
    assert set(where(drawn)) <= set(where(windows))
    assert len(draw(drawn, 1, random.Random(seed))) == len(there)
