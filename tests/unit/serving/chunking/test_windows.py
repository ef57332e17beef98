from __future__ import annotations

import pickle
from collections.abc import Iterator

import numpy as np
import pytest

from streamproc.errors import ModelRefused
from streamproc.serving.chunking.tokens import Tokens
from streamproc.serving.chunking.windows import Window, windows
from streamproc.testing import build_tokenizer

FRAME = build_tokenizer().frame


def run_of(count: int, first: int = 0) -> Tokens:
    """Tokens of one character each, with a space after each."""
    starts = np.arange(first, first + count, dtype=np.int64) * 2
    return Tokens(starts + 10, np.stack((starts, starts + 1), axis=1))


def test_a_text_that_just_fills_a_window_is_one_chunk() -> None:
    (chunk,) = windows([run_of(6)], FRAME, Window(8, 2), 12)

    assert (chunk.content_tokens, chunk.start, chunk.end, chunk.is_last) == (6, 0, 12, True)
    assert len(chunk) == 8


def test_one_token_more_makes_a_second_chunk_with_the_overlap() -> None:
    first, second = windows([run_of(7)], FRAME, Window(8, 2), 14)

    assert (first.start, first.end, first.content_tokens) == (0, 11, 6)
    assert (second.start, second.end, second.content_tokens) == (8, 14, 3)


def test_how_the_stream_is_cut_makes_no_difference() -> None:
    window = Window(9, 3)
    at_once = list(windows([run_of(40)], FRAME, window, 80))
    piecemeal = [run_of(1, first) for first in range(40)]
    piecemeal.insert(7, run_of(0))

    for one, other in zip(at_once, windows(piecemeal, FRAME, window, 80), strict=True):
        assert one.ids.tolist() == other.ids.tolist()
        assert (one.start, one.end, one.is_last) == (other.start, other.end, other.is_last)


def test_an_empty_text_is_one_chunk_of_special_tokens_alone() -> None:
    (chunk,) = windows([], FRAME, Window(8, 2), 0)

    assert chunk.ids.tolist() == [2, 3]
    assert (chunk.content_tokens, chunk.start, chunk.end, chunk.is_last) == (0, 0, 0, True)


def test_a_text_without_tokens_is_covered_all_the_same() -> None:
    (chunk,) = windows([run_of(0)], FRAME, Window(8, 2), 5)

    assert (chunk.start, chunk.end) == (0, 5)


def test_windows_are_made_only_as_they_are_asked_for() -> None:
    asked = 0

    def stream() -> Iterator[Tokens]:
        nonlocal asked
        for first in range(1000):
            asked += 1
            yield run_of(1, first)

    made = windows(stream(), FRAME, Window(8, 2), 2000)
    next(made)

    assert asked == 7


@pytest.mark.parametrize("window", [Window(2, 0), Window(8, 6), Window(1, 0)])
def test_a_window_without_room_is_refused(window: Window) -> None:
    with pytest.raises(ModelRefused, match="is too short"):
        next(windows([run_of(1)], FRAME, window, 2))


def test_a_chunk_that_was_pickled_has_the_same_offsets() -> None:
    (chunk,) = windows([run_of(5)], FRAME, Window(16, 4), 5)
    again = pickle.loads(pickle.dumps(chunk))  # noqa: S301 - made here
    assert again.ids.tolist() == chunk.ids.tolist()
    assert again.offsets.tolist() == chunk.offsets.tolist()
