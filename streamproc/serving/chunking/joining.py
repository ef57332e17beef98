"""Tokenizing a text a piece at a time, with the tokens that all of it would have.

A tokenizer treats the edges of what it is given in its own way: it puts a space first, strips, or
ends a word early. So pieces overlap, and are joined inside the overlap, where both have the same
tokens on either side. What a token is depends on what is near it: words are tokenized by themselves
where a pre-tokenizer cuts a text into words; and where there are none, as in Chinese or with
Llama's BPE, tokens are those of the whole text if every two that stand side by side would be so
alone, which they are in one piece or the other (van Antwerpen and Neubeck, 2024, "So many tokens,
so little time").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding

from streamproc.frozen import frozen

SEGMENT_CHARACTERS = 32_768
# Far longer than a token, and than what WordPiece takes to be a word at all, 100 characters.
OVERLAP_CHARACTERS = 1_024
# Where no overlap agrees the piece grows, so that nothing is cut wrongly; but not without end, for
# a text of a million letters "a" in a row is no text, and must not stop everything else.
_MOST_SEGMENTS = 8
# As many tokens on either side are compared.
_ALIKE_TOKENS = 3

Encode = Callable[[str], Encoding]


@frozen(slots=False)
class Piece:
    """The tokens of a part of a text that begins at `start`; offsets are the whole text's."""

    encoding: Encoding
    start: int
    end: int

    @cached_property
    def ids(self) -> NDArray[np.int64]:
        """(tokens,) int64"""
        return np.array(self.encoding.ids, np.int64)

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """(tokens, 2) int64"""
        found = self.encoding.offsets
        flat = np.fromiter(chain.from_iterable(found), np.int64, 2 * len(found))
        return flat.reshape(-1, 2) + self.start

    def span(self, token: int) -> tuple[int, int]:
        """One token's offsets."""
        start, end = self.encoding.token_to_chars(token)
        return start + self.start, end + self.start

    @cached_property
    def words(self) -> NDArray[np.int64]:
        """(tokens,) int64, the number of each token's word; a token of none is a word of its own"""
        numbers = self.encoding.word_ids
        if None in numbers:
            return np.arange(len(numbers))
        return np.array(numbers, np.int64)

    def boundaries(self, first: int, last: int) -> NDArray[np.int64]:
        """Which tokens begin between two characters, where the one before has ended."""
        starts, ends = self.offsets[1:, 0], self.offsets[:-1, 1]
        found = (ends <= starts) & (starts >= first) & (starts <= last)
        return np.flatnonzero(found) + 1


def joined_pieces(
    encode: Encode, text: str, size: int = SEGMENT_CHARACTERS, overlap: int = OVERLAP_CHARACTERS
) -> Iterator[tuple[Piece, slice]]:
    """The text's pieces in order, and which of each one's tokens are the text's."""
    longest = size
    piece = Piece(encode(text[:size]), 0, min(size, len(text)))
    first = 0
    while piece.end < len(text):
        following = _following(encode, text, piece, size, overlap)
        place = _join(piece, following) if following else None
        if following and place:
            yield piece, slice(first, place[0])
            piece, first, longest = following, place[1], size
        elif longest < _MOST_SEGMENTS * size:
            longest *= 2
            begins = int(piece.offsets[first, 0]) if first < len(piece.ids) else piece.start
            end = min(len(text), piece.start + longest)
            piece = Piece(encode(text[piece.start : end]), piece.start, end)
            first = int(np.searchsorted(piece.offsets[:, 0], begins)) if first else 0
        else:
            yield piece, slice(first, None)
            end = min(len(text), piece.end + size)
            piece, first, longest = Piece(encode(text[piece.end : end]), piece.end, end), 0, size
    yield piece, slice(first, None)


def _following(encode: Encode, text: str, piece: Piece, size: int, overlap: int) -> Piece | None:
    """What comes next, begun where a token of the piece begins; None where none does."""
    found = piece.boundaries(piece.end - overlap, piece.end - overlap // 2)
    if not len(found):
        return None
    words = found[piece.words[found] != piece.words[found - 1]]
    start = int(piece.offsets[words[0] if len(words) else found[0], 0])
    end = min(len(text), start + size)
    return Piece(encode(text[start:end]), start, end)


def _join(before: Piece, after: Piece) -> tuple[int, int] | None:
    """Which token of each begins at the place where they are best joined."""
    here = before.boundaries(after.start, before.end)
    there = after.boundaries(after.start, before.end)
    _, mine, other = np.intersect1d(
        before.offsets[here, 0], after.offsets[there, 0], return_indices=True
    )
    mine, other = here[mine], there[other]
    inside_a_word = (before.words[mine] == before.words[mine - 1]) | (
        after.words[other] == after.words[other - 1]
    )
    middle = (after.start + before.end) / 2
    order = np.lexsort((np.abs(before.offsets[mine, 0] - middle), inside_a_word))
    for place in order:
        if _alike(before, int(mine[place]), after, int(other[place])):
            return int(mine[place]), int(other[place])
    return None


def _alike(before: Piece, mine: int, after: Piece, other: int) -> bool:
    """Whether the same tokens stand on either side of the two places."""
    near = _ALIKE_TOKENS
    if min(mine, other) < near or mine + near > len(before.ids) or other + near > len(after.ids):
        return False
    here, there = slice(mine - near, mine + near), slice(other - near, other + near)
    return bool(
        (before.ids[here] == after.ids[there]).all()
        and (before.offsets[here] == after.offsets[there]).all()
    )
