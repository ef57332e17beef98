"""Twice the text is twice the work, whatever the text is made of; counted, not timed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.hostile_texts import UNITS, repeated
from streamproc.enrichment.redaction import Mask, masked
from streamproc.serving.chunking.clauses import pieces
from streamproc.serving.chunking.joining import joined_pieces
from streamproc.serving.chunking.passages import passages
from streamproc.serving.chunking.sentences import sentences
from streamproc.serving.chunking.tokens import TextTokenizer, Tokens
from streamproc.serving.chunking.windows import Window, windows
from streamproc.serving.tasks.answers import Answers
from streamproc.serving.tasks.entities import EntityBuilder, Tagging, TokenRun
from streamproc.testing import build_tokenizer
from streamproc.testing.generative import build_byte_tokenizer
from tests.support.work import work

# Texts are long beside all that is looked at together; else everything would seem to grow faster.
MAX_TOKENS = 8
SIZE, OVERLAP = 64, 16
CHARACTERS = 1_000
MOST_GROWTH = 2.5

WORDS, BYTES = build_tokenizer(), build_byte_tokenizer()


def token_ends(tokenizer: TextTokenizer) -> Callable[[str], list[int]]:
    return lambda part: tokenizer.encode(part).offsets[:, 1].tolist()


def to_sentences(text: str) -> object:
    return list(sentences(text))


def to_pieces(tokenizer: TextTokenizer) -> Callable[[str], object]:
    ends = token_ends(tokenizer)
    return lambda text: [
        piece for sentence in sentences(text) for piece in pieces(text, sentence, ends, MAX_TOKENS)
    ]


def to_passages(tokenizer: TextTokenizer) -> Callable[[str], object]:
    def cut(text: str) -> object:
        ends = ([int(end)] for end in tokenizer.encode(text).offsets[:, 1])
        return list(passages(text, ends, token_ends(tokenizer), MAX_TOKENS))

    return cut


def to_windows(tokenizer: TextTokenizer) -> Callable[[str], object]:
    def cut(text: str) -> object:
        joined = joined_pieces(
            lambda part: tokenizer._tokenizer.encode(part, add_special_tokens=False),
            text,
            SIZE,
            OVERLAP,
        )
        stream = (Tokens(piece.ids[kept], piece.offsets[kept]) for piece, kept in joined)
        return list(windows(stream, tokenizer.frame, Window(MAX_TOKENS * 2, 2), len(text)))

    return cut


def to_entities(text: str) -> object:
    builder = EntityBuilder(text, Tagging(("O", "B-PER", "I-PER"), ("O",)), "simple")
    offsets = BYTES.encode(text).offsets
    labels = np.eye(3)[np.arange(len(offsets)) % 3]
    builder.add(TokenRun(labels, offsets, (), 0))
    return builder.entities()


def to_answers(text: str) -> object:
    answers = Answers(text)
    for start in range(0, len(text), 3):
        answers.add(start, min(len(text), start + 20), 0.1)
    return answers.best(3, None)


def to_masked(text: str) -> object:
    return masked(text, [Mask(start, start + 2, "*") for start in range(0, len(text), 3)])


FUNCTIONS: dict[str, Callable[[str], object]] = {
    "sentences": to_sentences,
    "pieces, words": to_pieces(WORDS),
    "pieces, bytes": to_pieces(BYTES),
    "passages, words": to_passages(WORDS),
    "passages, bytes": to_passages(BYTES),
    "windows, words": to_windows(WORDS),
    "windows, bytes": to_windows(BYTES),
    "entities": to_entities,
    "answers": to_answers,
    "masks": to_masked,
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_twice_the_text_is_twice_the_work(function: Callable[[str], object]) -> None:
    growth = {}
    for name, unit in UNITS.items():
        # A line a character more, so that what runs a dozen lines is not told to double.
        half = work(function, repeated(unit, CHARACTERS)) + CHARACTERS
        growth[name] = (work(function, repeated(unit, 2 * CHARACTERS)) + 2 * CHARACTERS) / half

    assert {name: found for name, found in growth.items() if found > MOST_GROWTH} == {}


def test_work_that_grows_with_the_square_would_be_seen() -> None:
    def prefixes(text: str) -> object:
        return [text[:end] for end in range(len(text))]

    assert work(prefixes, "a" * 2 * CHARACTERS) > 3.9 * work(prefixes, "a" * CHARACTERS)
