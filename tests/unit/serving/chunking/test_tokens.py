from __future__ import annotations

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.normalizers import Replace
from tokenizers.processors import TemplateProcessing

from streamproc.errors import ModelRefused
from streamproc.panics import LibraryPanicked
from streamproc.serving.chunking.joining import SEGMENT_CHARACTERS
from streamproc.serving.chunking.tokens import TextTokenizer
from streamproc.serving.chunking.windows import Window, windows
from streamproc.testing import build_tokenizer, tokenizer_json
from tests.support.panicking_tokenizer import PANICS, panicking_library, panicking_tokenizer


def test_the_frame_is_what_stands_around_a_single_text() -> None:
    frame = build_tokenizer().frame

    assert (frame.before.tolist(), frame.after.tolist(), frame.type_id) == ([2], [3], 0)
    assert frame.tokens == 2


def test_special_tokens_have_the_types_that_the_tokenizer_gives_them() -> None:
    library = Tokenizer.from_buffer(tokenizer_json())
    # As Funnel has it.
    library.post_processor = TemplateProcessing(
        single="[CLS]:2 $A:0 [SEP]:0", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer, text = TextTokenizer(library.to_str().encode()), "good film"

    (chunk,) = windows(tokenizer.stream(text), tokenizer.frame, Window(8, 2), len(text))

    encoded = library.encode(text)
    assert chunk.type_ids.tolist() == encoded.type_ids == [2, 0, 0, 0]
    assert chunk.ids.tolist() == encoded.ids


def test_truncation_and_padding_that_a_file_brings_are_switched_off() -> None:
    library = Tokenizer.from_buffer(tokenizer_json())
    library.enable_truncation(4)
    library.enable_padding(length=8)
    tokenizer = TextTokenizer(library.to_str().encode())

    (tokens,) = tokenizer.stream("good " * 10)

    assert len(tokens) == 10
    assert tokenizer.frame.tokens == 2


def test_a_long_text_is_tokenized_a_segment_at_a_time() -> None:
    text = "good film " * SEGMENT_CHARACTERS
    stream = build_tokenizer().stream(text)

    first = next(stream)

    assert len(first) < len(text.split()) / 5
    rest = list(stream)
    offsets = np.concatenate([first.offsets, *(tokens.offsets for tokens in rest)])
    assert len(offsets) == 2 * SEGMENT_CHARACTERS
    assert {text[start:end] for start, end in offsets} == {"good", "film"}
    assert np.array_equal(offsets, np.sort(offsets, axis=0))


@pytest.mark.parametrize("text", ["", "\u200b"])
def test_a_text_without_tokens_has_an_empty_run_or_none(text: str) -> None:
    assert sum(map(len, build_tokenizer().stream(text))) == 0


def test_the_vocabulary_counts_added_tokens() -> None:
    library = Tokenizer.from_buffer(tokenizer_json())
    before = TextTokenizer(library.to_str().encode()).vocabulary_size
    library.add_tokens(["added"])

    assert TextTokenizer(library.to_str().encode()).vocabulary_size == before + 1


@pytest.mark.parametrize("definition", [b"", b"{}", b"\xff", b'{"model": 1}'])
def test_what_is_no_tokenizer_is_refused(definition: bytes) -> None:
    with pytest.raises(ModelRefused, match=r"not a tokenizer\.json"):
        TextTokenizer(definition)


def test_a_tokenizer_that_knows_nothing_of_a_text_is_refused() -> None:
    library = Tokenizer.from_buffer(tokenizer_json())
    library.normalizer = Replace("a", "")

    with pytest.raises(ModelRefused, match="only special tokens"):
        TextTokenizer(library.to_str().encode())


def test_a_text_that_the_library_panics_over_raises_an_exception() -> None:
    tokenizer = panicking_tokenizer()
    for call in (
        lambda: tokenizer.encode(PANICS),
        lambda: tokenizer.encode_each(["good", PANICS]),
        lambda: list(tokenizer.stream(PANICS)),
        lambda: list(tokenizer.word_stream(PANICS)),
    ):
        with pytest.raises(LibraryPanicked):
            call()
    assert len(tokenizer.encode("good film")) == 2


def test_a_tokenizer_that_the_library_panics_with_at_once_is_refused() -> None:
    library = panicking_library()
    library.normalizer = Replace("a", PANICS)
    with pytest.raises(ModelRefused, match=r"its tokenizer\.json can't be used"):
        TextTokenizer(library.to_str().encode())
