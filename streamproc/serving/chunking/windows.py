"""Overlapping windows over a stream of tokens, made only as they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

import numpy as np

from streamproc.errors import Invalid, ModelRefused
from streamproc.frozen import frozen
from streamproc.serving.chunking.tokens import Frame, Tokens
from streamproc.types import Int64Array

Run = TypeVar("Run", bound=Tokens)


@dataclass(frozen=True, slots=True)
class Window:
    """How long a window is, and how much of it the next one sees again; both in tokens."""

    max_tokens: int
    overlap_tokens: int


@frozen(slots=False)
class Chunk:
    """A window of a text, ready for a model.

    ids:      (tokens,) int64, special tokens included
    type_ids: (tokens,) int64
    spans:    its offsets, (tokens, 2) int64, or what makes them once somebody asks
    start, end: the characters it passes over; one chunk's follow the last one's without a gap
    content_tokens: how many tokens are not special
    is_last: whether the text ends with it
    """

    index: int
    ids: Int64Array
    type_ids: Int64Array
    spans: Int64Array | Callable[[], Int64Array]
    start: int
    end: int
    content_tokens: int
    is_last: bool

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def offsets(self) -> Int64Array:
        """(tokens, 2) int64 characters of the text; (0, 0) at special tokens."""
        return self.spans() if callable(self.spans) else self.spans

    def __getstate__(self) -> dict[str, object]:
        """With its offsets made, as what makes them can't be pickled."""
        return {**vars(self), "spans": self.offsets}


@frozen()
class Cut(Generic[Run]):
    """One window's run of tokens.

    start, end: the characters it passes over; one cut's follow the last one's without a gap
    """

    index: int
    tokens: Run
    start: int
    end: int
    is_last: bool


def windows(
    stream: Iterable[Tokens], frame: Frame, window: Window, characters: int
) -> Iterator[Chunk]:
    """Every window of the stream; at least one, so that an empty text has an answer too.

    characters: length of the text; what follows the last token belongs to the last chunk
    Raises ModelRefused when the window leaves no room between special tokens and overlap, Invalid
    where there is no token at all.
    """
    content_tokens = window.max_tokens - frame.tokens
    if content_tokens <= window.overlap_tokens:
        raise ModelRefused(
            f"a window of {window.max_tokens} tokens is too short for {frame.tokens} special "
            f"tokens and an overlap of {window.overlap_tokens}"
        )
    nothing = Tokens(np.empty(0, np.int64), np.empty((0, 2), np.int64))
    for cut in cuts(stream, nothing, content_tokens, window.overlap_tokens, characters):
        yield _framed(cut, frame)


def cuts(
    stream: Iterable[Run], nothing: Run, content_tokens: int, overlap: int, characters: int
) -> Iterator[Cut[Run]]:
    """Runs of at most `content_tokens`, of which each sees the last `overlap` of the one before.

    nothing: no tokens
    overlap: less than `content_tokens`, wherever a second cut is asked for
    """
    index, covered, held = 0, 0, nothing
    for tokens in stream:
        held = held.joined(tokens) if len(held) else tokens
        first = 0
        # A window that the stream just fills waits: it may be the last, which takes the rest.
        while len(held) - first > content_tokens:
            run = held.part(slice(first, first + content_tokens))
            end = run.span(-1)[1]
            yield Cut(index, run, _start(run, covered), end, is_last=False)
            index, covered, first = index + 1, end, first + content_tokens - overlap
        if first:
            held = held.part(slice(first, None))
    yield Cut(index, held, _start(held, covered), characters, is_last=True)


def require_tokens(ids: Int64Array, fields: str) -> None:
    """Raise Invalid where a model would have nothing to read.

    It fails on that alone; beside longer texts it would be asked about the padding.

    fields: of the request, that the tokens are of
    """
    if not len(ids):
        raise Invalid(
            "no tokens",
            f"{fields}: without a single token, as an empty text, and this ensemble's tokenizer "
            "puts none around it; send a text with a word",
        )


def _start(run: Tokens, covered: int) -> int:
    # Whitespace and dropped characters before the first new token belong to this cut.
    return min(run.span(0)[0], covered) if covered and len(run) else covered


def _framed(cut: Cut[Tokens], frame: Frame) -> Chunk:
    framed = np.concatenate((frame.before, cut.tokens.ids, frame.after))
    require_tokens(framed, "text")

    def spans() -> Int64Array:
        offsets = np.zeros((len(framed), 2), np.int64)
        offsets[len(frame.before) : len(frame.before) + len(cut.tokens)] = cut.tokens.offsets
        return offsets

    types = np.full(len(cut.tokens), frame.type_id, np.int64)
    return Chunk(
        index=cut.index,
        ids=framed,
        type_ids=np.concatenate((frame.before_types, types, frame.after_types)),
        spans=spans,
        start=cut.start,
        end=cut.end,
        content_tokens=len(cut.tokens),
        is_last=cut.is_last,
    )
