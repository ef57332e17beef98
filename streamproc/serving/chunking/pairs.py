"""Windows over a context, each behind the whole of a question: only the context is cut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from tokenizers import Encoding

from streamproc.errors import Invalid
from streamproc.frozen import frozen
from streamproc.serving.chunking.pair_frame import PairFrame
from streamproc.serving.chunking.tokens import TextTokenizer, Tokens, WordTokens
from streamproc.serving.chunking.windows import Chunk, Cut, Window, cuts, require_tokens
from streamproc.types import Int64Array


@frozen(slots=False)
class PairChunk(Chunk):
    """A window of a context behind its question; offsets, start and end are the context's.

    content_from: the place of the context's first token
    words: (content_tokens, 2) int64, characters of the word that each of the context's tokens is
        of, as far as this window has it
    """

    content_from: int
    words: Int64Array

    @property
    def content_offsets(self) -> Int64Array:
        """(content_tokens, 2) int64 characters of the context."""
        return self.offsets[self.content_from : self.content_from + self.content_tokens]


def pair_windows(
    tokenizer: TextTokenizer,
    question: str,
    context: str,
    window: Window,
    known_question: Encoding | None = None,
    known_context: Encoding | None = None,
) -> Iterator[PairChunk]:
    """Every window of the context; at least one, so that a context without a token has one too.

    known_question, known_context: of `encode_each`, where that has been asked
    Raises Invalid when the question leaves the context no room, or where the context needs a second
    window, no more room than windows overlap by; and where neither text has a token.
    """
    frame = tokenizer.pair_frame
    beside = window.max_tokens - frame.tokens
    asked = _question_ids(tokenizer.stream(question, known_question), beside)
    room = beside - len(asked)
    if room < 1:
        raise _too_long(beside - 1, window, "a context")
    stream = tokenizer.word_stream(context, known_context)
    nothing = WordTokens(np.empty(0, np.int64), *(np.empty((0, 2), np.int64),) * 2)
    for cut in cuts(stream, nothing, room, window.overlap_tokens, len(context)):
        if not cut.is_last and room <= window.overlap_tokens:
            most = beside - window.overlap_tokens - 1
            raise _too_long(most, window, "a context of more than one window")
        yield _framed(cut, asked, frame)


def _question_ids(stream: Iterable[Tokens], most: int) -> Int64Array:
    """The question's token ids; of a question longer than `most`, only so many."""
    ids = np.empty(0, np.int64)
    for tokens in stream:
        ids = np.concatenate((ids, tokens.ids))
        if len(ids) >= most:
            break
    return ids[: max(0, most)]


def _too_long(most: int, window: Window, beside: str) -> Invalid:
    return Invalid(
        "invalid request",
        f"question: too long: {beside} leaves it at most {max(0, most)} tokens in windows of "
        f"{window.max_tokens} tokens that overlap by {window.overlap_tokens}",
    )


def _framed(cut: Cut[WordTokens], asked: Int64Array, frame: PairFrame) -> PairChunk:
    tokens = cut.tokens
    content_from = len(frame.before) + len(asked) + len(frame.between)
    before, between, after = frame.before, frame.between, frame.after
    ids = np.concatenate((before.ids, asked, between.ids, tokens.ids, after.ids))
    require_tokens(ids, "question and context")
    asked_types, context_types = (
        np.full(len(asked), frame.first_type, np.int64),
        np.full(len(tokens), frame.second_type, np.int64),
    )
    type_ids = np.concatenate(
        (before.type_ids, asked_types, between.type_ids, context_types, after.type_ids)
    )
    offsets = np.zeros((len(ids), 2), np.int64)
    offsets[content_from : content_from + len(tokens)] = tokens.offsets
    words = tokens.words
    if len(tokens):
        words = np.clip(words, tokens.offsets[0, 0], tokens.offsets[-1, 1])
    return PairChunk(
        index=cut.index,
        ids=ids,
        type_ids=type_ids,
        spans=offsets,
        start=cut.start,
        end=cut.end,
        content_tokens=len(tokens),
        is_last=cut.is_last,
        content_from=content_from,
        words=words,
    )
