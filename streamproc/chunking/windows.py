"""Overlapping windows over a stream of tokens, made only as they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from streamproc.chunking.tokens import Frame, Int64Array, Tokens
from streamproc.errors import ModelRefused


@dataclass(frozen=True, slots=True)
class Window:
    """How long a window is, and how much of it the next one sees again; both in tokens."""

    max_tokens: int
    overlap_tokens: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """A window of a text, ready for a model.

    ids:      (tokens,) int64, special tokens included
    type_ids: (tokens,) int64
    offsets:  (tokens, 2) int64 characters of the text; (0, 0) at special tokens
    start, end: the characters it passes over; one chunk's follow the last one's without a gap
    content_tokens: how many tokens are not special
    is_last: whether the text ends with it
    """

    index: int
    ids: Int64Array
    type_ids: Int64Array
    offsets: Int64Array
    start: int
    end: int
    content_tokens: int
    is_last: bool

    def __len__(self) -> int:
        return len(self.ids)


def windows(
    stream: Iterable[Tokens], frame: Frame, window: Window, characters: int
) -> Iterator[Chunk]:
    """Every window of the stream; at least one, so that an empty text has an answer too.

    characters: length of the text; what follows the last token belongs to the last chunk
    Raises ModelRefused when the window leaves no room between special tokens and overlap.
    """
    room = window.max_tokens - frame.tokens
    step = room - window.overlap_tokens
    if step < 1:
        raise ModelRefused(
            f"a window of {window.max_tokens} tokens has no room beside {frame.tokens} special "
            f"tokens and an overlap of {window.overlap_tokens}"
        )
    index, covered = 0, 0
    ids, offsets = np.empty(0, np.int64), np.empty((0, 2), np.int64)
    for tokens in stream:
        ids = np.concatenate((ids, tokens.ids)) if len(ids) else tokens.ids
        offsets = np.concatenate((offsets, tokens.offsets)) if len(offsets) else tokens.offsets
        first = 0
        # A window that the stream just fills waits: it may be the last, which takes the rest.
        while len(ids) - first > room:
            part = slice(first, first + room)
            chunk = _framed(index, ids[part], offsets[part], frame, covered, None)
            yield chunk
            index, covered, first = index + 1, chunk.end, first + step
        ids, offsets = ids[first:], offsets[first:]
    yield _framed(index, ids, offsets, frame, covered, characters)


def _framed(
    index: int,
    ids: Int64Array,
    offsets: Int64Array,
    frame: Frame,
    covered: int,
    characters: int | None,
) -> Chunk:
    """One chunk; `covered` is where the last one ended, `characters` is given to the last."""
    framed = np.concatenate((frame.before, ids, frame.after))
    framed_offsets = np.zeros((len(framed), 2), np.int64)
    framed_offsets[len(frame.before) : len(frame.before) + len(ids)] = offsets
    overlap_start = int(offsets[0, 0]) if len(offsets) else covered
    return Chunk(
        index=index,
        ids=framed,
        type_ids=np.full(len(framed), frame.type_id, np.int64),
        offsets=framed_offsets,
        # Whitespace and dropped characters before the first new token belong to this chunk.
        start=min(overlap_start, covered),
        end=int(offsets[-1, 1]) if characters is None else characters,
        content_tokens=len(ids),
        is_last=characters is not None,
    )
