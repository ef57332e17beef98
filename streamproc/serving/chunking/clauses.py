"""Cutting a sentence that is longer than a model takes: at a clause, else a word, else a token."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from streamproc.serving.chunking.segments import cut_before
from streamproc.serving.chunking.sentences import Sentence

# Strongest first; each match ends where the cut is.
_CLAUSES = (
    re.compile(r"(?<![;:…])[;:…]++[\"'”’»)]*+(?=\s)|[；：]"),
    re.compile(r",[\"'”’»)]*+(?=\s)|\s(?=[–—]\s)|—(?=\S)|[，、]"),
)
# A cut earlier than this share of what fits would make pieces too short to translate well.
_LEAST_SHARE = 3
# So many characters a token are looked at first, and so many at most: more would hardly ever fit,
# and a long run that a tokenizer makes one unknown token of is cut all the same.
_CHARACTERS_PER_TOKEN = 4
_MOST_CHARACTERS_PER_TOKEN = 16

TokenEnds = Callable[[str], list[int]]
"""Where each token of a text ends, in characters of that text."""


def pieces(
    text: str, sentence: Sentence, token_ends: TokenEnds, max_tokens: int
) -> Iterator[Sentence]:
    """Spans of at most `max_tokens` tokens that with the whitespace between are the sentence."""
    start, end = sentence
    while start < end:
        cut = end_of_piece(text, start, end, token_ends, max_tokens)
        if piece := without_blank_end(text, start, cut):
            yield piece
        start = past_blanks(text, cut, end)


def without_blank_end(text: str, start: int, end: int) -> Sentence | None:
    """The span up to its last character that is not blank; None where all are."""
    while end > start and text[end - 1].isspace():
        end -= 1
    return Sentence(start, end) if end > start else None


def past_blanks(text: str, start: int, end: int) -> int:
    """Where the first character lies that is not blank; `end` where none is."""
    while start < end and text[start].isspace():
        start += 1
    return start


def end_of_piece(text: str, start: int, end: int, token_ends: TokenEnds, max_tokens: int) -> int:
    """Where a text of at most `max_tokens` tokens may best end that begins at `start`."""
    ends: list[int] = []
    limit, look = start, _CHARACTERS_PER_TOKEN
    while len(ends) <= max_tokens and limit < end and look <= _MOST_CHARACTERS_PER_TOKEN:
        limit = min(end, start + max_tokens * look)
        ends = token_ends(text[start:limit])
        look *= 2
    if len(ends) <= max_tokens and limit == end:
        return end
    while len(ends) > max_tokens:
        # A part of a text may have other tokens than they are in the whole, so it is looked at too.
        limit = min(limit - 1, start + ends[max_tokens - 1])
        if limit <= start + 1:
            return start + 1
        limit = _boundary(text, start, limit)
        ends = token_ends(text[start:limit])
    return limit if limit < end else _boundary(text, start, limit)


def _boundary(text: str, start: int, limit: int) -> int:
    """The best place to cut at, no later than `limit` and after `start`."""
    least = start + max(1, (limit - start) // _LEAST_SHARE)
    for clauses in _CLAUSES:
        # One character more, so that a mark at the very end is seen to be followed by a space.
        cuts = [found.end() for found in clauses.finditer(text, least, min(len(text), limit + 1))]
        fitting = [cut for cut in cuts if least <= cut <= limit]
        if fitting:
            return fitting[-1]
    return cut_before(text, start, limit)
