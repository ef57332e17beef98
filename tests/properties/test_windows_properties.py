"""Whatever the text, windows cover all of it and point at the right characters."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from streamproc.serving.chunking.segments import cut_before
from streamproc.serving.chunking.tokens import TextTokenizer, Tokens
from streamproc.serving.chunking.windows import Chunk, Window, windows
from streamproc.testing import tokenizer_json
from tests.support.awkward_texts import TEXTS, WINDOWS

DEFINITION = tokenizer_json(("good", "film", "the", "中", "文", "##文", "e", "##e"))
LIBRARY = Tokenizer.from_buffer(DEFINITION)
TOKENIZER = TextTokenizer(DEFINITION)


def chunks_of(text: str, window: Window) -> list[Chunk]:
    return list(windows(TOKENIZER.stream(text), TOKENIZER.frame, window, len(text)))


def content(chunk: Chunk) -> Tokens:
    """A chunk's tokens without the special ones around them."""
    part = slice(len(TOKENIZER.frame.before), len(chunk) - len(TOKENIZER.frame.after))
    return Tokens(chunk.ids[part], chunk.offsets[part])


@given(TEXTS, WINDOWS)
@example("", Window(8, 4))
@example(" \r\n\u200b", Window(8, 4))
@example("good " * 6, Window(8, 0))
def test_every_token_is_in_a_window_and_windows_overlap_as_told(text: str, window: Window) -> None:
    whole = LIBRARY.encode(text, add_special_tokens=False).ids

    chunks = chunks_of(text, window)

    tokens = list(content(chunks[0]).ids)
    for before, after in pairwise(chunks):
        overlap = window.overlap_tokens
        assert before.content_tokens == window.max_tokens - TOKENIZER.frame.tokens
        seen_again = content(before).ids[before.content_tokens - overlap :]
        assert np.array_equal(content(after).ids[:overlap], seen_again)
        assert after.content_tokens > overlap
        tokens += list(content(after).ids[overlap:])
    assert tokens == whole


@given(TEXTS, WINDOWS)
@example("", Window(8, 4))
@example("\u200b\u200b", Window(8, 4))
def test_spans_of_chunks_cover_every_character(text: str, window: Window) -> None:
    chunks = chunks_of(text, window)

    assert chunks[0].start == 0
    assert chunks[-1].end == len(text)
    for before, after in pairwise(chunks):
        assert before.start <= after.start <= before.end <= after.end
    assert [chunk.is_last for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))


@given(TEXTS, WINDOWS)
def test_a_chunk_is_framed_and_no_longer_than_the_window(text: str, window: Window) -> None:
    for chunk in chunks_of(text, window):
        assert len(chunk) <= window.max_tokens
        assert len(chunk.ids) == len(chunk.type_ids) == len(chunk.offsets)
        assert chunk.ids[0] == LIBRARY.token_to_id("[CLS]")
        assert chunk.ids[-1] == LIBRARY.token_to_id("[SEP]")
        assert not chunk.offsets[[0, -1]].any()


@given(TEXTS, WINDOWS)
def test_offsets_point_at_the_characters_a_token_was_made_of(text: str, window: Window) -> None:
    unknown = LIBRARY.token_to_id("[UNK]")
    for chunk in chunks_of(text, window):
        tokens = content(chunk)
        for token, (start, end) in zip(tokens.ids, tokens.offsets, strict=True):
            assert chunk.start <= start < end <= chunk.end
            if token != unknown:
                piece = LIBRARY.id_to_token(token).removeprefix("##")
                assert piece in LIBRARY.normalizer.normalize_str(text[start:end])


CLUSTERS = [
    "e\u0301",
    "👍🏽",
    "👩\u200d👩\u200d👧\u200d👦",
    "🏳\ufe0f\u200d🌈",
    "中",
    "กี",
    "\u0915\u093f",
]


@given(st.lists(st.sampled_from(CLUSTERS), max_size=30), st.integers(8, 12))
def test_text_without_spaces_is_not_cut_inside_what_is_read_as_one_character(
    clusters: list[str], size: int
) -> None:
    text = "".join(clusters)
    beginnings = {len("".join(clusters[:count])) for count in range(len(clusters))}

    if len(text) > size:
        assert cut_before(text, 0, size) in beginnings
