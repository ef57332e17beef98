"""Whatever the context, windows behind a question cover all of it and point at its characters."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import assume, example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.processors import RobertaProcessing

from streamproc.serving.chunking.pairs import PairChunk, pair_windows
from streamproc.serving.chunking.tokens import TextTokenizer
from streamproc.serving.chunking.windows import Window
from streamproc.testing import tokenizer_json
from tests.support.awkward_texts import TEXTS

BERT = tokenizer_json(("good", "film", "the", "中", "e", "##e"))


def roberta() -> bytes:
    """The same words, framed as RoBERTa frames a pair."""
    library = Tokenizer.from_buffer(BERT)
    library.post_processor = RobertaProcessing(("[SEP]", 3), ("[CLS]", 2), add_prefix_space=False)
    return library.to_str().encode()  # type: ignore[no-any-return]


LIBRARIES = {"bert": Tokenizer.from_buffer(BERT), "roberta": Tokenizer.from_buffer(roberta())}
TOKENIZERS = {"bert": TextTokenizer(BERT), "roberta": TextTokenizer(roberta())}
KINDS = st.sampled_from(sorted(TOKENIZERS))
WINDOWS = st.integers(16, 32).flatmap(
    lambda size: st.builds(Window, st.just(size), st.integers(0, size // 4))
)
QUESTIONS = st.sampled_from(["the", "good film", " ", "who? 中"])


def windows_of(kind: str, question: str, context: str, window: Window) -> list[PairChunk]:
    return list(pair_windows(TOKENIZERS[kind], question, context, window))


@given(KINDS, QUESTIONS, TEXTS)
@example("bert", "the", "good " * 6)
@example("roberta", " ", "")
def test_one_window_is_what_the_tokenizer_makes_of_the_pair(
    kind: str, question: str, context: str
) -> None:
    library = LIBRARIES[kind]
    whole = library.encode(question, context)

    (chunk,) = windows_of(kind, question, context, Window(100_000, 10))

    assert chunk.ids.tolist() == whole.ids
    assert chunk.type_ids.tolist() == whole.type_ids
    second = [place for place, sequence in enumerate(whole.sequence_ids) if sequence == 1]
    assert list(range(chunk.content_from, chunk.content_from + chunk.content_tokens)) == second
    assert list(map(tuple, chunk.content_offsets)) == [whole.offsets[place] for place in second]
    assert list(map(tuple, chunk.words)) == [
        whole.word_to_chars(whole.token_to_word(place), 1) for place in second
    ]


@given(KINDS, QUESTIONS, TEXTS, WINDOWS)
def test_windows_are_those_that_the_tokenizers_library_cuts(
    kind: str, question: str, context: str, window: Window
) -> None:
    library = Tokenizer.from_buffer(LIBRARIES[kind].to_str().encode())
    library.enable_truncation(
        window.max_tokens, stride=window.overlap_tokens, strategy="only_second"
    )
    whole = library.encode(question, context)

    chunks = windows_of(kind, question, context, window)

    for chunk, cut in zip(chunks, [whole, *whole.overflowing], strict=True):
        assert chunk.ids.tolist() == cut.ids
        assert chunk.type_ids.tolist() == cut.type_ids
        assert len(chunk) <= window.max_tokens
        spans = chunk.content_offsets.tolist()
        places = range(chunk.content_from, chunk.content_from + chunk.content_tokens)
        assert spans == [list(cut.offsets[place]) for place in places]
        assert chunk.words.tolist() == [
            list(cut.word_to_chars(cut.token_to_word(place), 1)) for place in places
        ]


@given(KINDS, QUESTIONS, TEXTS, WINDOWS)
@example("bert", "the", "", Window(16, 4))
@example("bert", "the", "\u200b\u200b", Window(16, 4))
def test_spans_of_windows_cover_every_character_of_the_context(
    kind: str, question: str, context: str, window: Window
) -> None:
    chunks = windows_of(kind, question, context, window)

    assert chunks[0].start == 0
    assert chunks[-1].end == len(context)
    for before, after in pairwise(chunks):
        assert before.start <= after.start <= before.end <= after.end
    assert [chunk.is_last for chunk in chunks] == [False] * (len(chunks) - 1) + [True]


@given(KINDS, TEXTS, WINDOWS)
def test_words_hold_their_tokens_and_stay_in_the_window(
    kind: str, context: str, window: Window
) -> None:
    for chunk in windows_of(kind, "the", context, window):
        assume(chunk.content_tokens)
        offsets, words = chunk.content_offsets, chunk.words
        assert (words[:, 0] <= offsets[:, 0]).all()
        assert (offsets[:, 1] <= words[:, 1]).all()
        assert (np.diff(words, axis=0) >= 0).all()
        assert words[0, 0] == offsets[0, 0]
        assert words[-1, 1] == offsets[-1, 1]
