"""What of a window counts, where the next one sees part of it again."""

from __future__ import annotations

from streamproc.serving.chunking.tokens import Frame, Tokens
from streamproc.serving.chunking.windows import Chunk, Window


def content_place(chunk: Chunk, frame: Frame) -> slice:
    """Where in a chunk its tokens are that are not special."""
    return slice(len(frame.before), len(frame.before) + chunk.content_tokens)


def content(chunk: Chunk, frame: Frame) -> Tokens:
    """A chunk's tokens without the special ones."""
    place = content_place(chunk, frame)
    return Tokens(chunk.ids[place], chunk.offsets[place])


def tokens_before(chunk: Chunk, frame: Frame, window: Window) -> int:
    """How many tokens of the text, special ones left out, come before a chunk's first."""
    return chunk.index * (window.max_tokens - frame.tokens - window.overlap_tokens)


def deepest(chunk: Chunk, window: Window, *, is_final: bool) -> slice:
    """Which of a chunk's content tokens sit deeper in it than in any other window.

    Deeper: further from the nearer edge at which the text was cut. Where two windows overlap, the
    first half of the tokens that both see counts in the first, the other half in the second, the
    middle one in the first; so every token counts in exactly one window.

    is_final: whether no window follows, be it that the text ends or that nobody asks for more
    """
    seen_again, counted = window.overlap_tokens // 2, (window.overlap_tokens + 1) // 2
    first = counted if chunk.index else 0
    return slice(first, chunk.content_tokens - (0 if is_final else seen_again))
