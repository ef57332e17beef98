"""Cutting a document into passages of as many whole sentences as a model takes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence

from streamproc.serving.chunking.clauses import (
    TokenEnds,
    end_of_piece,
    past_blanks,
    without_blank_end,
)
from streamproc.serving.chunking.sentences import Sentence, sentences


def passages(
    text: str, ends: Iterator[Sequence[int]], token_ends: TokenEnds, max_tokens: int
) -> Iterator[Sentence]:
    """Spans of at most `max_tokens` tokens that with the whitespace between are the text.

    One if the text fits. Else each is as long as whole sentences allow, and the last two about
    equally so: of a passage of a few words no model says anything of use. A sentence that is too
    long by itself is cut at a clause, a word or a token.

    ends:       where each token of the text ends, in characters, in runs of any length; read only
                as far ahead as two passages
    token_ends: the same of a part of the text, in characters of that part
    """
    ahead: list[int] = []
    start = 0
    while start < len(text):
        while len(ahead) <= 2 * max_tokens and (more := next(ends, None)) is not None:
            ahead.extend(more)

        def fits(end: int, start: int = start) -> bool:
            # A part of a text may have other tokens than they are in the whole.
            return len(token_ends(text[start:end])) <= max_tokens

        if len(ahead) <= max_tokens and fits(len(text)):
            # A text that is not cut stays as it is, blanks around it and all.
            yield Sentence(start, len(text.rstrip()) if start else len(text))
            return
        cut = _cut(text, start, ahead, max_tokens, fits)
        if cut is None:
            limit = ahead[min(2 * max_tokens, len(ahead)) - 1] if ahead else len(text)
            most = max_tokens if len(ahead) > 2 * max_tokens else max(1, (len(ahead) + 1) // 2)
            cut = end_of_piece(text, start, max(limit, start + 1), token_ends, most)
        if passage := without_blank_end(text, start, cut):
            yield passage
        start = past_blanks(text, cut, len(text))
        del ahead[: bisect_right(ahead, start)]


def _cut(
    text: str,
    start: int,
    ahead: Sequence[int],
    max_tokens: int,
    fits: Callable[[int], bool],
) -> int | None:
    """The best end of a sentence to cut at; None where no whole sentence fits.

    ahead: where the tokens after `start` end, of two passages at least or of all that is left
    """
    if not ahead:
        return None
    furthest = ahead[min(max_tokens, len(ahead)) - 1]
    within = text[start : ahead[min(2 * max_tokens, len(ahead)) - 1]]
    found = (start + sentence.end for sentence in sentences(within))
    # Ends of sentences, but for the last, which what follows may go on with.
    possible = [end for end in list(found)[:-1] if end <= furthest]
    if len(ahead) <= 2 * max_tokens:
        half = ahead[(len(ahead) - 1) // 2]
        # What is left over should fit, too; beyond that, the nearer to the middle the better.
        possible.sort(
            key=lambda end: (len(ahead) - bisect_right(ahead, end) <= max_tokens, -abs(end - half))
        )
    return next((end for end in reversed(possible) if fits(end)), None)
